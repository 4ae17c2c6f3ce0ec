"""An update whose gradient is not finite, or of nothing, is left out, counted, and does no harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journeys.journey import Journey, final_weights, metrics
from tests.journeys.moments import gradient_lost
from tests.journeys.updates import write_updates
from tests.support.processes import fork

ALIKE = "rewards={'tests.journeys.noisy:alike': 1.0}"


def test_an_update_without_a_finite_gradient_is_skipped(config_file: Path, tmp_path: Path) -> None:
    journey = Journey(tmp_path, config_file)
    journey.finish(hooks=[gradient_lost(1)])
    rows = metrics(journey.run)[1:]
    assert [row["policy/updates_skipped"] for row in rows] == [1, 0, 0]
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    assert all(weights.isfinite().all() for weights in final_weights(journey).values())


@pytest.mark.parametrize("scaled", [False, True])
def test_an_update_of_which_no_action_counts_changes_nothing(
    scaled: bool, config_file: Path, tmp_path: Path
) -> None:
    """Momentum, decay and the loss scale would change something all the same."""
    overrides = ["train.mixed_precision=fp16", "algorithm.clip_range=0.1"] if scaled else []
    with fork(write_updates, config_file, overrides, tmp_path, scaled, cwd=tmp_path) as started:
        assert started.wait() == [0], started.output
    first, none, last = json.loads((tmp_path / "updates.json").read_text())
    assert none["changed"] == []
    assert none["row"]["policy/updates_skipped"] == 2
    assert none["row"]["policy/grad_norm"] == none["row"]["loss"] == 0
    for counted in (first, last):
        assert {"ema_step", "schedule", *["scaler"] * scaled} < set(counted["changed"])
        assert any(name.startswith("weights/") for name in counted["changed"])
        assert any(name.startswith("optimizer/") for name in counted["changed"])
        assert counted["row"]["policy/updates_skipped"] == 0


def test_where_all_rewards_are_the_same_grpo_trains_on_nothing(
    config_file: Path, tmp_path: Path
) -> None:
    grpo = "algorithm={kind: grpo, group_size: 4, kl_coef: 0.1}"
    journey = Journey(tmp_path, config_file, (ALIKE, grpo, "train.iterations=1"))
    journey.finish()
    (row,) = metrics(journey.run)[1:]
    assert row["samples_without_spread"] == 8
    assert row["policy/updates_skipped"] == 2
    assert row["policy/kl"] == row["policy/grad_norm"] == 0
