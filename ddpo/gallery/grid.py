"""The grid's beginning, for readers without scripts: a row a prompt, so that each row shows how
samples of it differ. The script puts the whole grid in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ddpo.gallery.folder import place
from ddpo.gallery.formatting import breakable, escape, number, shorten
from ddpo.gallery.measures import Measure, measures
from ddpo.gallery.passage import passage
from ddpo.gallery.run_folder import RunFolder, Sample, SampleSet
from ddpo.gallery.spacing import evenly_spaced

CHECKPOINTS = 4
MAX_ROWS = 8


@dataclass(frozen=True)
class Cell:
    """What stands in one place of the grid.

    Attributes:
        heading: of its column.
        sample: None where there is none in this place.
        place: of its files in the gallery, None where it has none.
        measures: what it is measured by.
    """

    heading: str
    sample: Sample | None = None
    place: str | None = None
    measures: tuple[Measure, ...] = ()

    @property
    def has_total(self) -> bool:
        """Whether samples have a total that can be compared between iterations."""
        return any(measure.section == "total" for measure in self.measures)


@dataclass(frozen=True)
class Row:
    """Samples of one prompt, and the reference that it comes with."""

    prompt: str
    reference: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ShownRun:
    """A run, and what the gallery has of it.

    Attributes:
        run: as it was read.
        missing: (iteration, number) of the samples without a picture.
        part: what begins the names of its files.
    """

    run: RunFolder
    missing: frozenset[tuple[int, int]]
    part: str = ""

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What its samples are measured by."""
        return measures(self.run.sample_sets)

    def cell(self, heading: str, group: SampleSet, number: int, prompt: str) -> Cell:
        """The sample of this number; nothing if it is not there yet, or is of another prompt."""
        sample = sample_at(group, number, prompt)
        if sample is None:
            return Cell(heading)
        at = (group.iteration, number)
        where = None if at in self.missing else f"{self.part}{place(*at)}"
        return Cell(heading, sample, where, self.measures)


def shown_sets(sets: Sequence[SampleSet]) -> tuple[SampleSet, ...]:
    """Return the first and the last set, and at most four evenly spaced between them."""
    if len(sets) <= 2:
        return tuple(sets)
    between = sets[1:-1]
    if len(between) > CHECKPOINTS:
        # Spaced with the ends in mind: the ends themselves are shown anyway.
        between = evenly_spaced(sets, CHECKPOINTS + 2)[1:-1]
    return (sets[0], *between, sets[-1])


def grid(run: RunFolder, missing: frozenset[tuple[int, int]]) -> str:
    """Lay out the first samples of a run, a column an iteration; empty text when there are none."""
    sets = shown_sets(run.sample_sets)
    samples = longest(sets)
    if not samples:
        return ""
    shown = ShownRun(run, missing)
    headings = [heading(group.iteration, run) for group in sets]
    rows = [
        Row(
            sample.prompt,
            sample.reference,
            tuple(
                shown.cell(heading, group, number, sample.prompt)
                for heading, group in zip(headings, sets, strict=True)
            ),
        )
        for number, sample in enumerate(samples[:MAX_ROWS])
    ]
    return f"{note(len(samples))}{table('Samples by iteration', headings, rows)}"


def table(name: str, headings: Sequence[str], rows: Sequence[Row]) -> str:
    """Lay out rows of samples, whose cells are in the order of `headings`."""
    head = "".join(
        f'<th scope="col" role="columnheader">{escape(heading)}</th>' for heading in headings
    )
    body = "\n".join(_row(row) for row in rows)
    return (
        f'<table class="grid columns-{len(headings)}" role="table" aria-label="{name}">\n'
        f'<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">prompt</th>'
        f'{head}</tr></thead>\n<tbody role="rowgroup">\n{body}\n</tbody></table>'
    )


def longest(sets: Sequence[SampleSet]) -> tuple[Sample, ...]:
    """The samples of the iteration that has most of them: a row each."""
    return max((group.samples for group in sets), key=len, default=())


def sample_at(group: SampleSet, index: int, prompt: str) -> Sample | None:
    """Return the sample of a row; None if it is not there yet, or is of another prompt."""
    if index >= len(group.samples) or group.samples[index].prompt != prompt:
        return None
    return group.samples[index]


def note(rows: int) -> str:
    """Say so where the page itself has fewer rows than there are."""
    if rows <= MAX_ROWS:
        return ""
    return f'<p class="muted">The first {MAX_ROWS} of {rows:,} prompts are shown.</p>\n'


def heading(iteration: int, run: RunFolder) -> str:
    """What an iteration with samples is called, and whether it is the last."""
    name = iteration_name(iteration)
    is_last = 0 < iteration == run.sample_sets[-1].iteration
    return f"{name}, {run.stage(iteration)}" if is_last else name


def iteration_name(iteration: int) -> str:
    """What an iteration is called: the model before the first one is the base."""
    return "base" if iteration == 0 else f"iteration {iteration:,}"


def _row(row: Row) -> str:
    cells = "\n".join(_cell(cell, row.prompt) for cell in row.cells)
    prompt = f"{_prompt(row.prompt)}{_reference(row.reference)}"
    return f'<tr role="row"><th scope="row" role="rowheader">{prompt}</th>\n{cells}\n</tr>'


def _prompt(prompt: str) -> str:
    if not prompt:
        return '<span class="muted">(empty prompt)</span>'
    return passage(prompt)


def _reference(reference: str | None) -> str:
    if reference is None:
        return ""
    return f'<div class="reference"><span>reference: </span>{passage(reference)}</div>'


def _cell(cell: Cell, prompt: str) -> str:
    if cell.sample is None:
        body = '<div class="absent">not there</div>'
    else:
        description = f"{cell.heading}: {shorten(prompt, 120)}"
        drawing = cell.sample.content.draw(description, cell.place)
        body = f"{drawing}\n{_numbers(cell.sample, cell)}"
    return f'<td role="cell" data-label="{escape(cell.heading)}">{body}</td>'


def _numbers(sample: Sample, cell: Cell) -> str:
    """The numbers beneath a sample: the parts of a total are folded away."""
    shown, folded = [], []
    for measure in cell.measures:
        is_part = measure.section == "rewards" and cell.has_total
        (folded if is_part else shown).append(_line(measure, sample))
    parts = f'<dl class="scores">{"".join(folded)}</dl>'
    more = f"<details><summary>parts</summary>{parts}</details>" if folded else ""
    return f'<dl class="scores">{"".join(shown)}</dl>{more}'


def _line(measure: Measure, sample: Sample) -> str:
    marker = f' class="{measure.section}"' if measure.section != "rewards" else ""
    value = number(measure.of(sample), measure.decimals)
    return f"<div{marker}><dt>{breakable(measure.name)}</dt><dd>{value}</dd></div>"
