"""The gallery while a run goes on: it is there, the run is the same, and no failure ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import ddpo.training
from ddpo.gallery import refreshing, write_gallery
from tests.journeys.journey import Journey, differences

EACH = "gallery.every=1"


def noting(run: Path) -> None:
    """Write the gallery, and say so."""
    write_gallery(run)
    print("refreshed")


def failing(run: Path) -> None:
    """Find no room."""
    raise OSError(28, "No space left on device", str(run / "gallery"))


def refresh_by(write: Callable[[Path], None]) -> None:
    """Whatever the time, refresh; in this way."""
    refreshing.SHARE = 1e9
    refresher = partial(refreshing.Refresher, write=write)
    ddpo.training.Refresher = refresher  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("write", "processes", "said", "count"),
    [
        (noting, 1, "refreshed", 3),
        (failing, 2, "the gallery could not be written, and the run goes on: [Errno 28]", 1),
    ],
    ids=["written", "no room"],
)
def test_a_run_whose_gallery_is_refreshed_is_the_same(
    uninterrupted: Callable[[int], Journey],
    tmp_path: Path,
    write: Callable[[Path], None],
    processes: int,
    said: str,
    count: int,
) -> None:
    whole = uninterrupted(processes)
    journey = replace(whole, folder=tmp_path, overrides=(*whole.overrides, EACH))
    output = journey.finish(hooks=[partial(refresh_by, write)])
    assert output.count(said) == count
    assert (journey.run / "gallery" / "index.html").is_file()
    assert differences(journey, whole) == []
