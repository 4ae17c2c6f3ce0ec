"""The curves of several runs: a chart for each quantity, a line for each run that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ddpo.gallery.chart import Series, line_chart
from ddpo.gallery.comparison.runs import NumberedRun
from ddpo.gallery.curves import GREEDY, metrics_table
from ddpo.gallery.formatting import escape

TOTAL = "total reward"
OPTIMISED, WATCHED, EVALUATED = "optimised", "only watched", "evaluations"
SECTIONS = (("reward/", OPTIMISED), ("watch/", WATCHED), ("evaluation/", EVALUATED))
"""Where a run has a quantity, as it may be one's reward and the other's watch reward."""
NO_REWARDS = ("reward/mean", "reward/std", "evaluation/reward")


@dataclass(frozen=True)
class Line:
    """One quantity of one run: its metric, and what the run does with it."""

    run: NumberedRun
    key: str
    role: str

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """(iteration, value) where the run has a value."""
        rows = self.run.run.metrics
        return tuple((row["iteration"], row[self.key]) for row in rows if self.key in row)


def quantities(runs: Sequence[NumberedRun]) -> dict[str, list[Line]]:
    """The lines of each quantity that there is a chart of, in order of appearance.

    A total of one reward is that reward, and has no chart of its own.
    """
    found: dict[str, list[Line]] = {}
    if _totals_compare(runs) and not _has_one_reward(runs[0]):
        found[TOTAL] = [Line(run, "reward/mean", OPTIMISED) for run in runs]
    for section, role in SECTIONS:
        for run in runs:
            for name in _names(run, section):
                lines = found.setdefault(name, [])
                if all(line.run is not run for line in lines):
                    lines.append(Line(run, f"{section}{name}", role))
    return {name: sorted(lines, key=lambda line: line.run.number) for name, lines in found.items()}


def has_other_totals(runs: Sequence[NumberedRun]) -> bool:
    """Whether there are totals beside the rewards, and they mean different things."""
    return not _totals_compare(runs) and not all(_has_one_reward(run) for run in runs)


def curves(found: Mapping[str, Sequence[Line]]) -> str:
    """Draw a chart for each quantity."""
    figures = (_figure(index, name, lines) for index, (name, lines) in enumerate(found.items()))
    return "\n".join(figure for figure in figures if figure)


def numbers(found: Mapping[str, Sequence[Line]]) -> str:
    """Tabulate what the charts show."""
    rows: dict[float, dict[str, float]] = {}
    for name, lines in found.items():
        for line in lines:
            for iteration, value in line.points:
                row = rows.setdefault(iteration, {"iteration": iteration})
                row[f"{name}, {line.run.short}"] = value
    return metrics_table([rows[iteration] for iteration in sorted(rows)])


def key(run: NumberedRun) -> str:
    """A piece of the run's line, to know it by."""
    return (
        '<svg class="key" viewBox="0 0 32 8" aria-hidden="true">'
        f'<path class="line {run.tone}" d="M0 4H32"/></svg>'
    )


def _totals_compare(runs: Sequence[NumberedRun]) -> bool:
    """Whether all runs make their total of the same rewards in the same way."""
    made = [
        (run.run.section("rewards"), run.run.section("combine"), set(_names(run, "reward/")))
        for run in runs
    ]
    return all(each == made[0] for each in made)


def _has_one_reward(run: NumberedRun) -> bool:
    return len(list(_names(run, "reward/"))) == 1


def _names(run: NumberedRun, section: str) -> Iterator[str]:
    """The quantities of a section of the run's metrics, each once."""
    keys = dict.fromkeys(key for row in run.run.metrics for key in row if key.startswith(section))
    for name in keys:
        is_greedy = name.startswith(f"evaluation/{GREEDY}")
        if name not in NO_REWARDS and not is_greedy:
            yield name.removeprefix(section)


def _figure(index: int, name: str, lines: Sequence[Line]) -> str:
    series = [
        Series(line.run.title, line.points, line.run.tone, short=str(line.run.number))
        for line in lines
    ]
    drawing = line_chart(f"chart-{index}", name, series)
    if not drawing:
        return ""
    entries = "".join(
        f"<li>{key(line.run)}<bdi>{escape(line.run.title)}</bdi>, {line.role}</li>"
        for line in lines
    )
    return f'<figure class="curve">{drawing}<figcaption><ul>{entries}</ul></figcaption></figure>'
