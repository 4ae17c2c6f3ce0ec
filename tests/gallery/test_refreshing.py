"""The gallery of a run that goes on: when it is written, by a made-up clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ddpo.gallery.refreshing import Refresher


@dataclass
class Clock:
    """Seconds that pass when a test says so, and lines that were said."""

    seconds: float = 1000.0
    said: list[str] = field(default_factory=list)

    def refresher(self, every: int, costs: list[float | Exception]) -> Refresher:
        """One whose writing takes these seconds, one after the other, or fails at once."""

        def write(run: Path) -> None:
            cost = costs.pop(0)
            if isinstance(cost, Exception):
                raise cost
            self.seconds += cost

        def now() -> float:
            return self.seconds

        return Refresher(Path("run"), every, say=self.said.append, write=write, clock=now)


def refreshed(
    costs: list[float | Exception], *, every: int = 1, seconds: float, iterations: int
) -> list[int]:
    """After which iterations the gallery was written, where each iteration takes so long."""
    clock = Clock()
    refresher = clock.refresher(every, costs)
    written = []
    for iteration in range(1, iterations + 1):
        clock.seconds += seconds
        left = len(costs)
        refresher.refresh(iteration)
        written += [iteration] * (left - len(costs))
    return written


def test_it_is_written_every_so_many_iterations() -> None:
    assert refreshed([0.1] * 9, every=10, seconds=100, iterations=35) == [10, 20, 30]


def test_never_is_never() -> None:
    assert refreshed([0.1], every=0, seconds=1000, iterations=20) == []


def test_the_first_time_waits_for_fifty_seconds_of_training() -> None:
    assert refreshed([0.1] * 9, seconds=10, iterations=5) == [5]


def test_what_would_exceed_a_hundredth_is_left_out() -> None:
    # 1 s of 100: the first is due after 50 s, the second after 200 s, the third after 300 s.
    assert refreshed([1.0] * 9, seconds=10, iterations=35) == [5, 20, 30]


def test_the_estimate_is_what_the_last_one_took() -> None:
    # 0.5 s are allowed after 50 s, but it took 3; with 3 more, 600 s; that took 0, so on it goes.
    assert refreshed([3.0, 0.0, 0.0, 0.0], seconds=10, iterations=62) == [5, 60, 61, 62]


def test_the_share_is_of_training_alone() -> None:
    clock = Clock()
    refresher = clock.refresher(1, [1.0] * 500)
    for iteration in range(1, 1001):
        clock.seconds += 7.0
        refresher.refresh(iteration)
        assert refresher.spent <= 0.01 * 7.0 * iteration or refresher.spent == 1.0
    assert refresher.spent == 70.0


def test_a_failure_is_said_in_one_line_once_and_ends_nothing() -> None:
    clock = Clock()
    full = OSError(28, "No space left\non device", "run/gallery/index.html")
    refresher = clock.refresher(1, [full, full, ValueError(), 0.0, full])
    for iteration in range(1, 6):
        clock.seconds += 100
        refresher.refresh(iteration)
    start = "the gallery could not be written, and the run goes on: "
    said = f"{start}[Errno 28] No space left on device: 'run/gallery/index.html'"
    assert clock.said == [said, f"{start}ValueError", said]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_passes(error: type[BaseException]) -> None:
    def stopped(run: Path) -> None:
        raise error

    refresher = Refresher(Path("run"), 1, say=print, write=stopped, clock=iter([0, 99]).__next__)
    with pytest.raises(error):
        refresher.refresh(1)
