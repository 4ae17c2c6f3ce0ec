"""What saves memory changes no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.journeys.journey import Journey, differences

SAVING = ("policy.offload=true", "train.trajectories_on=cpu")


def test_a_run_that_puts_things_away_is_the_same_to_the_bit(
    uninterrupted: Callable[[int], Journey], tmp_path: Path
) -> None:
    whole = uninterrupted(1)
    journey = replace(whole, folder=tmp_path, overrides=(*whole.overrides, *SAVING))
    journey.finish()
    assert differences(journey, whole) == []
