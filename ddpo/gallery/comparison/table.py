"""The runs in a table: what each was trained towards, what came of it, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ddpo.gallery.changes import Change, changes, verdicts
from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.formatting import breakable, escape, number
from ddpo.gallery.reproducing import run_folder
from ddpo.gallery.summary import aim, basis, cost, progress

Changes = Mapping[int, Sequence[Change]]
"""What changed, by the number of the run."""

HEADINGS = (
    "run",
    "trained",
    "rewards, before → after",
    "only watched, before → after",
    "iterations",
    "samples seen",
    "network passes",
    "time",
)


def found_changes(runs: Sequence[NumberedRun]) -> Changes:
    """What changed in each of the runs."""
    return {run.number: changes(run.run) for run in runs}


def runs_table(runs: Sequence[NumberedRun], found: Changes) -> str:
    """Tabulate the runs, a row each."""
    head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    body = "\n".join(_row(run, found[run.number]) for run in runs)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of the runs">'
        f'<table class="runs"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def bases(runs: Sequence[NumberedRun], found: Changes) -> str:
    """Say what the figures are means of: once for all runs, or for each."""
    said = [basis(run.run, found[run.number]) for run in runs]
    if len(set(said)) == 1:
        return said[0]
    return " ".join(f"Run {run.number}: {text}" for run, text in zip(runs, said, strict=True))


def remarkable(runs: Sequence[NumberedRun], found: Changes) -> tuple[list[str], list[str]]:
    """What to know of the runs: which watch rewards fell, and what is missing or unreadable."""
    fell, problems = [], []
    for run in runs:
        said = verdicts(found[run.number], run.run.kind)
        fell += [f"{run.title}: {verdict}" for verdict in said]
        problems += [f"{run.title}: {problem}" for problem in run.run.problems]
    return fell, problems


def _row(run: NumberedRun, found: Sequence[Change]) -> str:
    took = dict(cost(run.run))
    cells = [
        aim(run.run),
        _changes([change for change in found if not change.watched]),
        _changes([change for change in found if change.watched]),
        progress(run.run),
        *(escape(took.get(term) or "not known") for term in HEADINGS[-3:]),
    ]
    name = f"<bdi>{escape(run.title)}</bdi><small><bdi>{escape(run_folder(run.run))}</bdi></small>"
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{run.tone}"><th scope="row">{name}</th>{body}</tr>'


def _changes(found: Sequence[Change]) -> str:
    if not found:
        return '<span class="muted">none</span>'
    return f'<ul class="means">{"".join(_change(change) for change in found)}</ul>'


def _change(change: Change) -> str:
    before, after = (number(mean, change.decimals) for mean in (change.before, change.after))
    tone = "watch" if change.watched else "reward"
    return (
        f'<li class="{tone}"><span>{breakable(change.name)}</span> <b>{before} → {after}</b></li>'
    )
