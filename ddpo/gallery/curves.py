"""The curves of a run: which quantities are drawn, and the table of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ddpo.gallery.chart import Series, Tone, line_chart
from ddpo.gallery.formatting import breakable, compact, counted
from ddpo.gallery.spacing import evenly_spaced

MAX_TABLE_ROWS = 400
GREEDY = "greedy/"
"""Begins what an evaluation says of the likeliest samples."""

Metrics = Sequence[Mapping[str, float]]


def curves(metrics: Metrics) -> str:
    """Draw the mean reward, that of greedy samples where there are such, each reward where there
    are several, and each watch reward.
    """
    figures = [_reward_figure(metrics), _greedy_figure(metrics)]
    rewards = _suffixes(metrics, "reward/", leave_out=("mean", "std"))
    if len(rewards) > 1:
        figures += [_figure(metrics, "reward", name) for name in rewards]
    watched = _suffixes(metrics, "watch/")
    # A reward that only evaluations measure is a watch reward that training batches skip.
    more = _suffixes(metrics, "evaluation/", leave_out=("reward", *rewards, *watched))
    watched += [name for name in more if not name.startswith(GREEDY)]
    figures += [_figure(metrics, "watch", name) for name in watched]
    return "\n".join(figure for figure in figures if figure)


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


def _reward_figure(metrics: Metrics) -> str:
    spread = tuple(row.get("reward/std", 0.0) for row in metrics if "reward/mean" in row)
    series = [
        Series("evaluation", _points(metrics, "evaluation/reward"), "reward", marks=True),
        Series("mean", _points(metrics, "reward/mean"), "reward", spread=spread),
    ]
    legend = [("line", "mean of the samples"), ("band", "± one standard deviation")]
    return _drawn("reward", "reward", series, legend, "reward")


def _greedy_figure(metrics: Metrics) -> str:
    points = _points(metrics, f"evaluation/{GREEDY}reward")
    series = [Series("evaluation", points, "reward", marks=True)]
    return _drawn("greedy", "reward of greedy samples", series, [], "reward")


def _figure(metrics: Metrics, tone: Tone, name: str) -> str:
    series = [
        Series("evaluation", _points(metrics, f"evaluation/{name}"), tone, marks=True),
        Series("mean", _points(metrics, f"{tone}/{name}"), tone),
    ]
    note = "mean of the samples" if tone == "reward" else "mean of the samples, never optimised"
    return _drawn(f"{tone}/{name}", name, series, [("line", note)], tone)


def _drawn(
    key: str, title: str, series: Sequence[Series], legend: list[tuple[str, str]], tone: Tone
) -> str:
    identifier = "chart-" + key.encode("utf-8", "replace").hex()
    drawing = line_chart(identifier, title, series)
    if not drawing:
        return ""
    if series[0].points:
        legend = [*legend, ("mark", "evaluation, fixed prompts and seeds")]
    entries = "".join(f'<li class="key-{kind} {tone}">{text}</li>' for kind, text in legend)
    return f'<figure class="curve">{drawing}<figcaption><ul>{entries}</ul></figcaption></figure>'


def _points(metrics: Metrics, key: str) -> tuple[tuple[float, float], ...]:
    return tuple((row["iteration"], row[key]) for row in metrics if key in row)


def _suffixes(metrics: Metrics, prefix: str, leave_out: Sequence[str] = ()) -> list[str]:
    """Return what follows `prefix` in the metrics' names, each once, in order of appearance."""
    keys = dict.fromkeys(key for row in metrics for key in row if key.startswith(prefix))
    names = [key.removeprefix(prefix) for key in keys]
    return [name for name in names if name not in leave_out]
