"""The runs in a table: what each was trained towards, what came of it, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ddpo.gallery.changes import Change, changes
from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.diversity import Diversity, diversity
from ddpo.gallery.formatting import breakable, escape, number
from ddpo.gallery.reproducing import run_folder
from ddpo.gallery.summary import aim, basis, cost, progress
from ddpo.gallery.verdicts import Verdicts, verdicts


@dataclass(frozen=True)
class Changed:
    """What training changed in a run: means of its rewards, and how different samples are."""

    means: Sequence[Change]
    varied: Diversity | None


Changes = Mapping[int, Changed]
"""What changed, by the number of the run."""

HEADINGS = (
    "run",
    "trained",
    "rewards, before → after",
    "only watched, before → after",
    "diversity",
    "iterations",
    "samples seen",
    "network passes",
    "time",
)


def found_changes(runs: Sequence[NumberedRun]) -> Changes:
    """What changed in each of the runs."""
    return {run.number: Changed(changes(run.run), diversity(run.run)) for run in runs}


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
    said = [basis(run.run, found[run.number].means) for run in runs]
    if len(set(said)) == 1:
        return said[0]
    return " ".join(f"Run {run.number}: {text}" for run, text in zip(runs, said, strict=True))


def remarkable(runs: Sequence[NumberedRun], found: Changes) -> tuple[Verdicts, list[str]]:
    """What to know of the runs: what is wrong or well, and what is missing or unreadable."""
    warnings, good, problems = [], [], []
    for run in runs:
        changed = found[run.number]
        said = verdicts(changed.means, changed.varied, run.run.kind)
        warnings += [f"{run.title}: {verdict}" for verdict in said.warnings]
        good += [f"{run.title}: {verdict}" for verdict in said.good]
        problems += [f"{run.title}: {problem}" for problem in run.run.problems]
    return Verdicts(tuple(warnings), tuple(good)), problems


def _row(run: NumberedRun, found: Changed) -> str:
    took = dict(cost(run.run))
    cells = [
        aim(run.run),
        _changes([change for change in found.means if not change.watched]),
        _changes([change for change in found.means if change.watched]),
        _diversity(found.varied),
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


def _diversity(varied: Diversity | None) -> str:
    return '<span class="muted">not known</span>' if varied is None else f"<b>{_pair(varied)}</b>"


def _change(change: Change) -> str:
    tone = "watch" if change.watched else "reward"
    name = breakable(change.name)
    return f'<li class="{tone}"><span>{name}</span> <b>{_pair(change)}</b></li>'


def _pair(pair: Change | Diversity) -> str:
    before, after = (number(value, pair.decimals) for value in (pair.before, pair.after))
    return f"{before} → {after}"
