"""The grid's beginning, for readers without scripts: a row a prompt, a column an iteration, so that
each row shows one sample change. The script puts the whole grid in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddpo.gallery.folder import place
from ddpo.gallery.formatting import breakable, number, shorten
from ddpo.gallery.measures import Measure, measures
from ddpo.gallery.passage import passage
from ddpo.gallery.run_folder import RunFolder, Sample, SampleSet
from ddpo.gallery.spacing import evenly_spaced

CHECKPOINTS = 4
MAX_ROWS = 8


@dataclass(frozen=True)
class Columns:
    """The iterations shown, their headings, and what stands beneath the samples.

    Attributes:
        sets: the samples, an iteration a column.
        headings: of the columns.
        measures: of the samples.
        missing: (iteration, number) of the samples without a picture.
    """

    sets: tuple[SampleSet, ...]
    headings: tuple[str, ...]
    measures: tuple[Measure, ...]
    missing: frozenset[tuple[int, int]]

    @property
    def totals(self) -> bool:
        """Whether samples have a total that can be compared between iterations."""
        return any(measure.section == "total" for measure in self.measures)


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
    """Lay out the first samples of a run; empty text when there are none."""
    sets = shown_sets(run.sample_sets)
    rows = longest(sets)
    if not rows:
        return ""
    headings = tuple(heading(group.iteration, run) for group in sets)
    columns = Columns(sets, headings, measures(run.sample_sets), missing)
    head = "".join(f'<th scope="col" role="columnheader">{text}</th>' for text in headings)
    body = "\n".join(_row(sample, index, columns) for index, sample in enumerate(rows[:MAX_ROWS]))
    return (
        f"{_note(len(rows))}"
        f'<table class="grid columns-{len(sets)}" role="table" aria-label="Samples by iteration">\n'
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


def heading(iteration: int, run: RunFolder) -> str:
    """What an iteration with samples is called, and whether it is the last."""
    name = iteration_name(iteration)
    is_last = 0 < iteration == run.sample_sets[-1].iteration
    return f"{name}, {run.stage(iteration)}" if is_last else name


def iteration_name(iteration: int) -> str:
    """What an iteration is called: the model before the first one is the base."""
    return "base" if iteration == 0 else f"iteration {iteration:,}"


def _note(rows: int) -> str:
    if rows <= MAX_ROWS:
        return ""
    return f'<p class="muted">The first {MAX_ROWS} of {rows:,} prompts are shown.</p>\n'


def _row(first: Sample, index: int, columns: Columns) -> str:
    cells = "\n".join(
        _cell(group, index, first.prompt, heading, columns)
        for group, heading in zip(columns.sets, columns.headings, strict=True)
    )
    prompt = f"{_prompt(first.prompt)}{_reference(first)}"
    return f'<tr role="row"><th scope="row" role="rowheader">{prompt}</th>\n{cells}\n</tr>'


def _prompt(prompt: str) -> str:
    if not prompt:
        return '<span class="muted">(empty prompt)</span>'
    return passage(prompt)


def _reference(sample: Sample) -> str:
    if sample.reference is None:
        return ""
    return f'<div class="reference"><span>reference: </span>{passage(sample.reference)}</div>'


def _cell(group: SampleSet, index: int, prompt: str, heading: str, columns: Columns) -> str:
    sample = sample_at(group, index, prompt)
    if sample is None:
        body = '<div class="absent">not there</div>'
    else:
        at = (group.iteration, index)
        where = None if at in columns.missing else place(*at)
        drawing = sample.content.draw(f"{heading}: {shorten(prompt, 120)}", where)
        body = f"{drawing}\n{_numbers(sample, columns)}"
    return f'<td role="cell" data-label="{heading}">{body}</td>'


def _numbers(sample: Sample, columns: Columns) -> str:
    """The numbers beneath a sample: the parts of a total are folded away."""
    shown, folded = [], []
    for measure in columns.measures:
        is_part = measure.section == "rewards" and columns.totals
        (folded if is_part else shown).append(_line(measure, sample))
    parts = f'<dl class="scores">{"".join(folded)}</dl>'
    more = f"<details><summary>parts</summary>{parts}</details>" if folded else ""
    return f'<dl class="scores">{"".join(shown)}</dl>{more}'


def _line(measure: Measure, sample: Sample) -> str:
    marker = f' class="{measure.section}"' if measure.section != "rewards" else ""
    value = number(measure.of(sample), measure.decimals)
    return f"<div{marker}><dt>{breakable(measure.name)}</dt><dd>{value}</dd></div>"
