"""The grid: a row a prompt, a column an iteration, so that each row shows one sample change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddpo.gallery.formatting import breakable, decimals_for, number, shorten
from ddpo.gallery.passage import passage
from ddpo.gallery.run_folder import RunFolder, Sample, SampleSet
from ddpo.gallery.spacing import evenly_spaced

TOTAL = "total"
CHECKPOINTS = 4
MAX_ROWS = 64


@dataclass(frozen=True)
class Columns:
    """The iterations shown, their headings, and the decimals of each reward under the samples.

    Totals that are standardised in each batch are in no sample: then there is none to show.
    """

    sets: tuple[SampleSet, ...]
    headings: tuple[str, ...]
    decimals: Mapping[str, int]
    folder: Path

    @property
    def totals(self) -> bool:
        """Whether samples have a total that can be compared between iterations."""
        return TOTAL in self.decimals

    def write(self, name: str, value: float | None) -> str:
        """Write one number of the reward `name`."""
        return number(value, self.decimals.get(name, 3))


def shown_sets(sets: Sequence[SampleSet]) -> tuple[SampleSet, ...]:
    """Return the first and the last set, and at most four evenly spaced between them."""
    if len(sets) <= 2:
        return tuple(sets)
    between = sets[1:-1]
    if len(between) > CHECKPOINTS:
        # Spaced with the ends in mind: the ends themselves are shown anyway.
        between = evenly_spaced(sets, CHECKPOINTS + 2)[1:-1]
    return (sets[0], *between, sets[-1])


def grid(run: RunFolder) -> str:
    """Lay out the samples of a run; empty text when there are none."""
    sets = shown_sets(run.sample_sets)
    rows = max((group.samples for group in sets), key=len, default=())
    if not rows:
        return ""
    columns = Columns(
        sets=sets,
        headings=tuple(_heading(group, run) for group in sets),
        decimals=_decimals(sets),
        folder=run.path,
    )
    head = "".join(f'<th scope="col" role="columnheader">{text}</th>' for text in columns.headings)
    body = "\n".join(_row(sample, index, columns) for index, sample in enumerate(rows[:MAX_ROWS]))
    return (
        f"{_note(len(rows))}"
        f'<table class="grid columns-{len(sets)}" role="table" aria-label="Samples by iteration">\n'
        f'<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">prompt</th>'
        f'{head}</tr></thead>\n<tbody role="rowgroup">\n{body}\n</tbody></table>'
    )


def _note(rows: int) -> str:
    if rows <= MAX_ROWS:
        return ""
    return f'<p class="muted">The first {MAX_ROWS} of {rows:,} prompts are shown.</p>\n'


def _heading(group: SampleSet, run: RunFolder) -> str:
    if group.iteration == 0:
        return "base"
    if group.iteration != run.sample_sets[-1].iteration:
        return f"iteration {group.iteration:,}"
    return f"iteration {group.iteration:,}, {run.stage(group.iteration)}"


def _decimals(sets: Sequence[SampleSet]) -> dict[str, int]:
    values: dict[str, list[float]] = {}
    for sample in (sample for group in sets for sample in group.samples):
        numbers = {TOTAL: sample.total, **sample.rewards, **sample.watch}
        for name, value in numbers.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: decimals_for(column) for name, column in values.items()}


def _row(first: Sample, index: int, columns: Columns) -> str:
    cells = "\n".join(
        _cell(_sample_at(group, index, first.prompt), heading, columns)
        for group, heading in zip(columns.sets, columns.headings, strict=True)
    )
    prompt = f"{_prompt(first.prompt)}{_reference(first)}"
    return f'<tr role="row"><th scope="row" role="rowheader">{prompt}</th>\n{cells}\n</tr>'


def _sample_at(group: SampleSet, index: int, prompt: str) -> Sample | None:
    """Return the sample of a row; None if it is not there yet, or is of another prompt."""
    if index >= len(group.samples) or group.samples[index].prompt != prompt:
        return None
    return group.samples[index]


def _prompt(prompt: str) -> str:
    if not prompt:
        return '<span class="muted">(empty prompt)</span>'
    return passage(prompt)


def _reference(sample: Sample) -> str:
    if sample.reference is None:
        return ""
    return f'<div class="reference"><span>reference: </span>{passage(sample.reference)}</div>'


def _cell(sample: Sample | None, heading: str, columns: Columns) -> str:
    if sample is None:
        body = '<div class="absent">not there</div>'
    else:
        description = f"{heading}: {shorten(sample.prompt, 120)}"
        drawing = sample.content.draw(description, columns.folder)
        body = f"{drawing}\n{_numbers(sample, columns)}"
    return f'<td role="cell" data-label="{heading}">{body}</td>'


def _numbers(sample: Sample, columns: Columns) -> str:
    parts = [_line(name, columns.write(name, value)) for name, value in sample.rewards.items()]
    lines = [_line("reward", columns.write(TOTAL, sample.total), "total")]
    watch = [
        _line(name, columns.write(name, value), "watch") for name, value in sample.watch.items()
    ]
    shown = (lines if columns.totals else parts) + watch
    folded = _folded(sample, parts) if columns.totals else ""
    return f'<dl class="scores">{"".join(shown)}</dl>{folded}'


def _folded(sample: Sample, parts: Sequence[str]) -> str:
    """Return the parts of the total, unless the total is its only part."""
    if not parts or list(sample.rewards.values()) == [sample.total]:
        return ""
    return f'<details><summary>parts</summary><dl class="scores">{"".join(parts)}</dl></details>'


def _line(name: str, value: str, kind: str = "") -> str:
    marker = f' class="{kind}"' if kind else ""
    return f"<div{marker}><dt>{breakable(name)}</dt><dd>{value}</dd></div>"
