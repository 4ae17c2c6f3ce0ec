"""What samples are measured by: the total, the rewards that it is made of, and watch rewards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ddpo.gallery.chart import Tone
from ddpo.gallery.formatting import decimals_for
from ddpo.gallery.run_folder import Sample, SampleSet

TOTAL = "reward"
"""What the total of a sample is called, where it stands beneath it."""


@dataclass(frozen=True)
class Measure:
    """One number that samples have.

    Attributes:
        name: as people read it.
        tone: its colour, which tells what is optimised from what is only watched.
        section: of a sample, where it stands; "total" is that itself.
        decimals: in which all its numbers are written.
    """

    name: str
    tone: Tone
    section: str
    decimals: int

    def of(self, sample: Sample) -> float | None:
        """Its number, None where there is none."""
        if self.section == "total":
            return sample.total
        return (sample.rewards if self.section == "rewards" else sample.watch).get(self.name)


def measures(sets: Sequence[SampleSet]) -> tuple[Measure, ...]:
    """All that any sample has: the total first, watch rewards last.

    Totals that are standardised in each batch are in no sample: then there is none. Where the total
    is the only reward as it is, that reward is left out.
    """
    found = [("total", TOTAL)] if any(s.total is not None for s in _all(sets)) else []
    if not found or any(list(s.rewards.values()) != [s.total] for s in _all(sets)):
        found += [("rewards", name) for name in _names(s.rewards for s in _all(sets))]
    found += [("watch", name) for name in _names(s.watch for s in _all(sets))]
    return tuple(_measure(name, section, sets) for section, name in found)


def _measure(name: str, section: str, sets: Sequence[SampleSet]) -> Measure:
    tone: Tone = "watch" if section == "watch" else "reward"
    undecided = Measure(name, tone, section, 0)
    values = [value for s in _all(sets) if (value := undecided.of(s)) is not None]
    return Measure(name, tone, section, decimals_for(values))


def _all(sets: Sequence[SampleSet]) -> Iterator[Sample]:
    return (sample for group in sets for sample in group.samples)


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
