"""Which samples of several runs stand in one row: those of the same prompt and count."""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.run_folder import RunFolder, Sample
from ddpo.gallery.texts import Completion

Counted = dict[tuple[str, int], tuple[int, Sample]]
"""A run's samples and their numbers, by prompt and by which of its samples each is."""


@dataclass(frozen=True)
class AlignedRow:
    """A prompt, its reference, and the numbers of the samples: one for each run, None where it has
    none.
    """

    prompt: str
    reference: str | None
    numbers: tuple[int | None, ...]

    @property
    def shared(self) -> bool:
        """Whether all runs have it."""
        return None not in self.numbers


def aligned(runs: Sequence[RunFolder]) -> tuple[AlignedRow, ...]:
    """Align the samples by prompt and, of one prompt, by which of its samples it is.

    Rows that all runs have come first, in the order of the first run.
    """
    counted = [_by_prompt_and_count(_most(run)) for run in runs]
    samples = {key: sample for each in reversed(counted) for key, (_, sample) in each.items()}
    keys = dict.fromkeys(key for each in counted for key in each)
    rows = [
        AlignedRow(key[0], samples[key].reference, tuple(_number(key, each) for each in counted))
        for key in keys
    ]
    return tuple(sorted(rows, key=lambda row: not row.shared))


def same_base(
    runs: Sequence[NumberedRun], rows: Sequence[AlignedRow], gallery: GalleryFolder
) -> bool:
    """Whether the base's samples are the same in every row that several runs have, by content.

    Args:
        runs: their pictures are in the gallery.
        rows: their samples, aligned.
        gallery: of these runs.
    """
    if not all(run.run.sample_sets and run.run.sample_sets[0].iteration == 0 for run in runs):
        return False
    if not any(row.shared for row in rows):
        return False
    return all(_is_same(runs, row, gallery) for row in rows)


def _most(run: RunFolder) -> Sequence[Sample]:
    """The samples of the iteration that has most of them: one may still be being filled."""
    return max((group.samples for group in run.sample_sets), key=len, default=())


def _by_prompt_and_count(samples: Sequence[Sample]) -> Counted:
    seen: Counter[str] = Counter()
    found: Counted = {}
    for number, sample in enumerate(samples):
        found[sample.prompt, seen[sample.prompt]] = (number, sample)
        seen[sample.prompt] += 1
    return found


def _number(key: tuple[str, int], counted: Counted) -> int | None:
    return counted[key][0] if key in counted else None


def _is_same(runs: Sequence[NumberedRun], row: AlignedRow, gallery: GalleryFolder) -> bool:
    first, *others = [
        _base_content(run, number, gallery)
        for run, number in zip(runs, row.numbers, strict=True)
        if number is not None
    ]
    return all(_equal(first, other) for other in others)


def _base_content(run: NumberedRun, number: int, gallery: GalleryFolder) -> str | Path | None:
    """A text, or where a picture lies; None where the base has none of this number."""
    samples = run.run.sample_sets[0].samples
    if number >= len(samples):
        return None
    content = samples[number].content
    if isinstance(content, Completion):
        return content.text
    # Not the run's own file: what is in the gallery is known to be a whole picture.
    picture = gallery.of_run(run.number).picture(0, number)
    return picture if picture.is_file() else None


def _equal(one: str | Path | None, other: str | Path | None) -> bool:
    if isinstance(one, Path) and isinstance(other, Path):
        return filecmp.cmp(one, other, shallow=False)
    return one is not None and one == other
