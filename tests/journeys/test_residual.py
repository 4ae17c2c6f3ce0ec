"""On-policy the ratio is 1: measured in every run, and a policy whose ratio is not is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.journeys.journey import Journey, metrics
from tests.journeys.moments import shifted


@pytest.mark.parametrize("processes", [1, 2])
def test_every_row_holds_the_residual(
    processes: int, uninterrupted: Callable[[int], Journey]
) -> None:
    rows = metrics(uninterrupted(processes).run)[1:]
    residuals = [row["policy/ratio_residual"] for row in rows]
    assert len(residuals) == 3
    assert max(residuals) <= 1e-6


@pytest.mark.parametrize("processes", [1, 2])
def test_a_policy_that_does_not_reproduce_its_log_probs_is_refused(
    processes: int, config_file: Path, tmp_path: Path
) -> None:
    """The residual may be a tenth of the clip range, 1e-4 by default."""
    journey = Journey(tmp_path, config_file, ("train.iterations=1",), processes)
    with journey.start(hooks=[shifted(2e-5)]) as started:
        assert started.wait() == [2] * processes, started.output
        (message,) = started.output.split("ddpo: ")[1:]
    assert message.startswith("the policy does not reproduce its own log-probs: residual 2.0")
    assert "against a clip range of 1.00e-04" in message
    assert "train.mixed_precision" in message
    assert not journey.run.exists()


def test_a_residual_within_a_tenth_of_the_clip_range_is_measured(
    config_file: Path, tmp_path: Path
) -> None:
    journey = Journey(tmp_path, config_file, ("train.iterations=1",))
    output = journey.finish(hooks=[shifted(5e-6)])
    assert "on-policy residual of the log-ratio: 5" in output
    assert metrics(journey.run)[1]["policy/ratio_residual"] == pytest.approx(5e-6, rel=0.3)
    looser = replace(journey, folder=tmp_path / "looser")
    looser = replace(looser, overrides=(*journey.overrides, "algorithm.clip_range=1e-3"))
    looser.finish(hooks=[shifted(5e-5)])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_trains(
    precision: str, uninterrupted: Callable[[int], Journey], config_file: Path, tmp_path: Path
) -> None:
    """With other numbers than fp32, and a residual that its clip range can bear."""
    overrides = (f"train.mixed_precision={precision}", "algorithm.clip_range=0.1")
    journey = Journey(tmp_path, config_file, overrides)
    journey.finish()
    rows, exact = metrics(journey.run)[1:], metrics(uninterrupted(1).run)[1:]
    assert len(rows) == len(exact) == 3
    for row, counterpart in zip(rows, exact, strict=True):
        assert row["policy/ratio_residual"] <= 0.01
        assert row["policy/grad_norm"] > 0
        assert row["policy/grad_norm"] != counterpart["policy/grad_norm"]
