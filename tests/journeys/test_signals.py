"""A run that is told to stop saves, says how to go on, and goes on as if nothing had happened."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ddpo.stopping import SAME_REQUEST_SECONDS
from tests.journeys.journey import Journey, accelerate_launch, differences
from tests.journeys.moments import at, both, said, sent, stuck
from tests.support.processes import run_command, wait_until

SELDOM = "checkpoint.every=9"
"""So that what is there when a run was stopped was saved by the stop."""

Uninterrupted = Callable[[int], Journey]


def stopped(journey: Journey, number: int, stage: str, call: int, rank: int = 0) -> str:
    """Stop a run by a signal that one of its processes gets; returns what was printed."""
    with journey.start(hooks=[at(stage, call, sent(number), rank)]) as started:
        assert started.wait() == [128 + number] * journey.processes, started.output
        return started.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("stage", "call", "saved"),
    [("sampling", 1 + 2 + 1, 1), ("updating", 4 + 3, 2)],
    ids=["sampling", "updating"],
)
def test_a_signal_saves_and_says_how_to_resume(
    number: int, stage: str, call: int, saved: int, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    """Samples of the second iteration are given up; its update is finished."""
    whole = uninterrupted(1)
    journey = replace(whole, folder=tmp_path, overrides=(*whole.overrides, SELDOM))
    output = stopped(journey, number, stage, call)
    assert f"stopped by a signal after iteration {saved}, which is saved" in output
    assert "continue with `ddpo train runs/run/config.yaml --resume`" in output
    assert "Traceback" not in output
    assert journey.checkpoints == [f"{saved:06d}"]
    again = replace(journey, config=Path("runs/run/config.yaml"), overrides=())
    again.finish(resume=True)
    assert differences(journey, whole) == []


def test_an_interrupt_before_there_is_a_run(config_file: Path, tmp_path: Path) -> None:
    journey = Journey(tmp_path, config_file)
    output = stopped(journey, signal.SIGINT, "preparing", 1)
    assert output.endswith("ddpo: interrupted\n")
    assert "Traceback" not in output
    assert not journey.run.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_final_model_is_written(
    number: int, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    """All is trained: it is finished."""
    journey = replace(uninterrupted(1), folder=tmp_path)
    journey.finish(hooks=[at("finishing", 1, sent(number))])
    assert (journey.run / "gallery" / "index.html").exists()
    assert differences(journey, uninterrupted(1)) == []


def test_a_signal_in_the_first_iteration(uninterrupted: Uninterrupted, tmp_path: Path) -> None:
    """The base was evaluated, with random numbers: it is not evaluated again."""
    journey = replace(uninterrupted(1), folder=tmp_path)
    output = stopped(journey, signal.SIGTERM, "sampling", 1 + 1)
    assert "stopped by a signal after iteration 0" in output
    journey.finish(resume=True)
    assert differences(journey, uninterrupted(1)) == []


@pytest.mark.parametrize(
    ("number", "stage", "call", "rank", "saved"),
    [
        (signal.SIGTERM, "updating", 4 + 1, 1, 2),
        (signal.SIGINT, "sampling", 1 + 1 + 1 + 1 + 1, 0, 2),
    ],
    ids=["updating", "sampling"],
)
def test_all_processes_stop_when_one_is_told(
    number: int,
    stage: str,
    call: int,
    rank: int,
    saved: int,
    uninterrupted: Uninterrupted,
    tmp_path: Path,
) -> None:
    whole = uninterrupted(2)
    journey = replace(whole, folder=tmp_path, overrides=(*whole.overrides, SELDOM))
    output = stopped(journey, number, stage, call, rank)
    assert output.count(f"stopped by a signal after iteration {saved}, which is saved") == 1
    assert journey.checkpoints == [f"{saved:06d}"]
    journey.finish(resume=True)
    assert differences(journey, whole) == []


def test_signals_close_together_are_one_request(
    uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    """A launcher repeats the terminal's Ctrl-C."""
    journey = replace(uninterrupted(1), folder=tmp_path)
    twice = both(sent(signal.SIGINT), sent(signal.SIGTERM))
    with journey.start(hooks=[at("sampling", 2, twice)]) as started:
        assert started.wait() == [128 + signal.SIGINT]
        assert "continue with" in started.output


def test_a_second_signal_stops_at_once(uninterrupted: Uninterrupted, tmp_path: Path) -> None:
    journey = replace(uninterrupted(1), folder=tmp_path, overrides=(SELDOM,))
    stops = both(sent(signal.SIGINT), said("asked"), stuck(600))
    with journey.start(hooks=[at("sampling", 2, stops)]) as started:
        started.wait_for(lambda: "asked" in started.output)
        time.sleep(SAME_REQUEST_SECONDS + 0.1)
        started.send(signal.SIGTERM)
        assert started.wait(timeout=20) == [128 + signal.SIGTERM]
        assert "continue with" not in started.output
    assert journey.checkpoints == []


def test_a_launchers_child_does_not_outlive_it(config_file: Path, tmp_path: Path) -> None:
    """`accelerate launch` of one process dies of SIGTERM and tells nobody."""
    journey = Journey(tmp_path, config_file, (SELDOM, "train.iterations=9000"))
    with run_command(accelerate_launch(journey, "--cpu"), cwd=tmp_path) as started:
        (pid,) = started.pids
        started.wait_for(lambda: journey.rows >= 2)
        children = psutil.Process(pid).children(recursive=True)
        assert children
        started.send(signal.SIGTERM)
        assert started.wait() == [-signal.SIGTERM]
        wait_until(lambda: not any(child.is_running() for child in children))
        assert "continue with `ddpo train runs/run/config.yaml --resume`" in started.output
    assert len(journey.checkpoints) == 1
