"""The curves of a run: which quantities are drawn, and the table of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ddpo.gallery.chart import Series, Tone, line_chart
from ddpo.gallery.formatting import breakable, compact, counted
from ddpo.gallery.spacing import evenly_spaced

MAX_TABLE_ROWS = 400
GREEDY = "greedy/"
"""Begins what an evaluation says of the likeliest samples."""

Metrics = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Panel:
    """What one chart shows: its series, those of evaluations first.

    `key` tells charts apart, `title` is what the vertical axis measures, and `legend` has the kind
    of a mark and its meaning.
    """

    key: str
    title: str
    series: tuple[Series, ...]
    legend: tuple[tuple[str, str], ...]
    tone: Tone


def curves(metrics: Metrics) -> str:
    """Draw every panel as a figure of the page."""
    return "\n".join(_drawn(panel) for panel in panels(metrics))


def panels(metrics: Metrics) -> list[Panel]:
    """The mean reward, that of greedy samples where there are such, each reward where there are
    several, and each watch reward.
    """
    found = [_reward_panel(metrics), _greedy_panel(metrics)]
    rewards = _suffixes(metrics, "reward/", leave_out=("mean", "std"))
    if len(rewards) > 1:
        found += [_panel(metrics, "reward", name) for name in rewards]
    watched = _suffixes(metrics, "watch/")
    # A reward that only evaluations measure is a watch reward that training batches skip.
    more = _suffixes(metrics, "evaluation/", leave_out=("reward", *rewards, *watched))
    watched += [name for name in more if not name.startswith(GREEDY)]
    found += [_panel(metrics, "watch", name) for name in watched]
    return [panel for panel in found if any(line.points for line in panel.series)]


def metrics_table(metrics: Metrics) -> str:
    """Tabulate every metric, at most `MAX_TABLE_ROWS` evenly spaced iterations of it."""
    if not metrics:
        return ""
    keys = list(dict.fromkeys(key for row in metrics for key in row))
    keys = ["iteration", *(key for key in keys if key != "iteration")]
    shown = evenly_spaced(metrics, MAX_TABLE_ROWS)
    head = "".join(f'<th scope="col">{breakable(key)}</th>' for key in keys)
    rows = "\n".join(_table_row(row, keys) for row in shown)
    summary = f"The numbers, {counted(len(metrics), 'iteration')}"
    if len(shown) < len(metrics):
        summary += f" ({len(shown)} of them, evenly spaced)"
    return (
        f"<details><summary>{summary}</summary>\n"
        '<div class="scroll" tabindex="0" role="region" aria-label="The numbers">'
        f'<table class="numbers"><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>'
        "</div></details>"
    )


def _table_row(row: Mapping[str, float], keys: Sequence[str]) -> str:
    cells = "".join(f"<td>{compact(row.get(key))}</td>" for key in keys[1:])
    return f'<tr><th scope="row">{compact(row["iteration"])}</th>{cells}</tr>'


def _reward_panel(metrics: Metrics) -> Panel:
    spread = tuple(row.get("reward/std", 0.0) for row in metrics if "reward/mean" in row)
    evaluation = Series("evaluation", _points(metrics, "evaluation/reward"), "reward", marks=True)
    mean = Series("mean", _points(metrics, "reward/mean"), "reward", spread=spread)
    legend = (("line", "mean of the samples"), ("band", "± one standard deviation"))
    return Panel("reward", "reward", (evaluation, mean), legend, "reward")


def _greedy_panel(metrics: Metrics) -> Panel:
    points = _points(metrics, f"evaluation/{GREEDY}reward")
    evaluation = Series("evaluation", points, "reward", marks=True)
    return Panel("greedy", "reward of greedy samples", (evaluation,), (), "reward")


def _panel(metrics: Metrics, tone: Tone, name: str) -> Panel:
    evaluation = Series("evaluation", _points(metrics, f"evaluation/{name}"), tone, marks=True)
    mean = Series("mean", _points(metrics, f"{tone}/{name}"), tone)
    note = "mean of the samples" if tone == "reward" else "mean of the samples, never optimised"
    return Panel(f"{tone}/{name}", name, (evaluation, mean), (("line", note),), tone)


def _drawn(panel: Panel) -> str:
    identifier = "chart-" + panel.key.encode("utf-8", "replace").hex()
    drawing = line_chart(identifier, panel.title, panel.series)
    legend = panel.legend
    if panel.series[0].points:
        legend = (*legend, ("mark", "evaluation, fixed prompts and seeds"))
    entries = "".join(f'<li class="key-{kind} {panel.tone}">{text}</li>' for kind, text in legend)
    return f'<figure class="curve">{drawing}<figcaption><ul>{entries}</ul></figcaption></figure>'


def _points(metrics: Metrics, key: str) -> tuple[tuple[float, float], ...]:
    return tuple((row["iteration"], row[key]) for row in metrics if key in row)


def _suffixes(metrics: Metrics, prefix: str, leave_out: Sequence[str] = ()) -> list[str]:
    """Return what follows `prefix` in the metrics' names, each once, in order of appearance."""
    keys = dict.fromkeys(key for row in metrics for key in row if key.startswith(prefix))
    names = [key.removeprefix(prefix) for key in keys]
    return [name for name in names if name not in leave_out]
