"""How different the samples of a run are from each other, before and after: training that collapses
makes them alike, whatever it does to the reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddpo.gallery.formatting import decimals_for
from ddpo.gallery.kinds import Content
from ddpo.gallery.run_folder import RunFolder, SampleSet

MOST = 64
"""Samples that are compared: enough for a mean of all their pairs, and soon read."""
COLLAPSING, COLLAPSED = 0.5, 0.1
"""The parts of the base's diversity below which the page says that a run collapses, and has."""


@dataclass(frozen=True)
class Diversity:
    """How different samples of the base are from each other, and the newest ones: 0 where all are
    alike; see `Content.diversity` for the unit.
    """

    before: float
    after: float

    @property
    def decimals(self) -> int:
        """Decimals in which both are written."""
        return decimals_for((self.before, self.after))

    @property
    def collapsing(self) -> bool:
        """Whether less than half of it is left."""
        return self.after < COLLAPSING * self.before

    @property
    def collapsed(self) -> bool:
        """Whether next to nothing of it is left."""
        return self.after < COLLAPSED * self.before


def diversity(run: RunFolder) -> Diversity | None:
    """Compare the diversity of the base's samples with that of the newest; None where it is not
    known of both.
    """
    if len(run.sample_sets) < 2 or run.sample_sets[0].iteration != 0:
        return None
    count = min(MOST, *(len(group.samples) for group in (run.sample_sets[0], run.sample_sets[-1])))
    before, after = (_within(group, count) for group in (run.sample_sets[0], run.sample_sets[-1]))
    return None if before is None or after is None else Diversity(before, after)


def _within(group: SampleSet, count: int) -> float | None:
    contents: Sequence[Content] = [sample.content for sample in group.samples[:count]]
    if len({type(content) for content in contents}) != 1:
        return None
    return type(contents[0]).diversity(contents)
