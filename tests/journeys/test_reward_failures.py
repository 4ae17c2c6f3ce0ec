"""Rewards that break: named with the prompt, and nothing is lost or made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.journeys.journey import Journey, differences, final_weights, metrics
from tests.journeys.noisy import UNLUCKY

SELDOM = "checkpoint.every=9"
SHORT = "train.iterations=1"

Uninterrupted = Callable[[int], Journey]


def stopped(journey: Journey, **fault: str) -> str:
    """A run that a faulty reward stops; returns the message."""
    with journey.start(**fault) as started:
        assert started.wait() == [1] * journey.processes, started.output
        assert "Traceback" not in started.output
        (message,) = [part for part in started.output.split("ddpo: ")[1:] if "reward" in part]
        return message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("short", "returned shape [3] for 4 samples"),
        ("nan", f"prompt {UNLUCKY!r}: returned nan"),
        ("raise", f"prompt {UNLUCKY!r}: OSError: the server is gone"),
    ],
)
def test_a_reward_that_breaks_stops_the_run_and_loses_nothing(
    fault: str, reason: str, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    """After the base and one iteration of two batches it breaks; mended, the run goes on as if it
    had not.
    """
    whole = uninterrupted(1)
    journey = replace(whole, folder=tmp_path, overrides=(SELDOM,))
    message = stopped(journey, FAULT=fault, FAULT_CALL="4")
    assert "reward 'noisy'" in message
    assert reason in message
    assert "prompt '" in message
    assert "saved after iteration 1: continue with `ddpo train runs/run/config.yaml" in message
    assert journey.checkpoints == ["000001"]
    journey.finish(resume=True)
    assert differences(journey, whole) == []


@pytest.mark.parametrize("fault", ["short", "nan", "raise"])
def test_a_reward_that_breaks_in_one_process_stops_both(
    fault: str, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    journey = replace(uninterrupted(2), folder=tmp_path)
    message = stopped(journey, FAULT=fault, FAULT_CALL="3", FAULT_RANK="1")
    assert "reward 'noisy'" in message
    assert "saved after iteration 1" in message
    assert journey.checkpoints == ["000001"]


def test_a_failed_evaluation_keeps_the_iteration(
    uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    journey = replace(uninterrupted(1), folder=tmp_path)
    message = stopped(journey, FAULT="short", FAULT_CALL="6")
    assert "saved after iteration 2" in message
    journey.finish(resume=True)
    assert [row["iteration"] for row in metrics(journey.run)] == [0, 1, 2, 3]


def trained(folder: Path, config: Path, action: str, processes: int = 1, **fault: str) -> Journey:
    """One iteration in which some samples fail and the run goes on."""
    failures = f"reward_failures={{action: {action}, limit: 0.5}}"
    overrides = (SHORT, "algorithm.advantages=batch", failures)
    journey = Journey(folder, config, overrides, processes)
    with journey.start(**fault) as started:
        assert started.wait() == [0] * processes, started.output
    return journey


def test_a_failed_sample_is_dropped_or_given_the_mean_but_never_zero(
    config_file: Path, tmp_path: Path
) -> None:
    fault = {"FAULT": "nan", "FAULT_CALL": "2"}
    dropped = trained(tmp_path / "drop", config_file, "drop", **fault)
    mean = trained(tmp_path / "mean", config_file, "mean", **fault)
    zero = trained(tmp_path / "zero", config_file, "raise", FAULT="zero", FAULT_CALL="2")
    none = trained(tmp_path / "none", config_file, "raise")
    rows = [metrics(journey.run)[1] for journey in (dropped, mean, zero, none)]
    assert [row["samples_failed"] > 0 for row in rows] == [True, True, False, False]
    assert rows[0]["reward/mean"] == rows[1]["reward/mean"]
    assert rows[0]["reward/mean"] > rows[2]["reward/mean"] + 0.1
    assert rows[0]["reward/std"] < rows[2]["reward/std"] / 2
    assert len({row["policy/grad_norm"] for row in rows}) == 4
    weights = [torch.cat([v.flatten() for v in final_weights(j).values()]) for j in (dropped, mean)]
    assert weights[0].isfinite().all()
    assert not torch.equal(*weights)


def test_a_sample_dropped_in_one_process_counts_in_neither(
    config_file: Path, tmp_path: Path
) -> None:
    journey = trained(tmp_path, config_file, "drop", 2, FAULT="nan", FAULT_CALL="2", FAULT_RANK="1")
    assert metrics(journey.run)[1]["samples_failed"] > 0


@pytest.mark.parametrize(("processes", "batch"), [(1, 4), (2, 4), (2, 3)])
def test_a_failed_sample_is_told_with_its_number_in_the_iteration(
    processes: int, batch: int, config_file: Path, tmp_path: Path
) -> None:
    """The second half of the eight fails: in the second batch, or in the second process."""
    overrides = (SHORT, f"train.sample_batch_size={batch}", "evaluation.samples=0")
    failures = "reward_failures={action: drop, limit: 0.5}"
    journey = Journey(tmp_path, config_file, (*overrides, failures), processes)
    call, rank = ("2", "0") if processes == 1 else ("1", "1")
    with journey.start(FAULT="all", FAULT_CALL=call, FAULT_RANK=rank) as started:
        assert started.wait() == [0] * processes, started.output
        assert "4 samples could not be scored, such as reward 'noisy', sample 4" in started.output


@pytest.mark.parametrize("limit", ["0.1", "0.0"])
def test_too_many_failures_stop_the_run_after_all(
    limit: str, config_file: Path, tmp_path: Path
) -> None:
    overrides = (SHORT, f"reward_failures={{action: drop, limit: {limit}}}")
    message = stopped(Journey(tmp_path, config_file, overrides), FAULT="nan", FAULT_CALL="2")
    assert f"more than reward_failures.limit: {limit} allows" in message
    assert "saved after iteration 0" in message
