"""An update whose gradient is not finite is left out, counted, and does the weights no harm."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.journey import Journey, final_weights, metrics
from tests.journeys.moments import gradient_lost


def test_an_update_without_a_finite_gradient_is_skipped(config_file: Path, tmp_path: Path) -> None:
    journey = Journey(tmp_path, config_file)
    journey.finish(hooks=[gradient_lost(1)])
    rows = metrics(journey.run)[1:]
    assert [row["policy/updates_skipped"] for row in rows] == [1, 0, 0]
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    assert all(weights.isfinite().all() for weights in final_weights(journey).values())
