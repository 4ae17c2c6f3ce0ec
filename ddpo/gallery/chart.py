"""Line charts as plain SVG: no library, no script, and a description in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ddpo.gallery.formatting import decimals_for, escape, number, shorten
from ddpo.gallery.scale import Number, Scale, tick_decimals, ticks, widened
from ddpo.gallery.spacing import evenly_spaced

# The drawing area in view-box units; the page scales it to the width that there is.
WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 388, 26, 200
MAX_READOUTS = 200
LINE_HEIGHT = 12

Tone = Literal["reward", "watch"]


@dataclass(frozen=True)
class Series:
    """One line, or separate marks.

    `points` are (iteration, value) in order of iteration. `spread` is the half-width of a band
    around each point, empty for no band. `tone` is a class of the style sheet. `short` stands
    before the number at the end of a line, and for the label where there is little room.
    """

    label: str
    points: tuple[tuple[Number, Number], ...]
    tone: str
    spread: tuple[Number, ...] = ()
    marks: bool = False
    short: str = ""

    @property
    def edges(self) -> list[tuple[Number, Number, Number]]:
        """The band, as (iteration, lower edge, upper edge)."""
        band = zip(self.points, self.spread, strict=True) if self.spread else ()
        return [(x, y - half, y + half) for (x, y), half in band]


@dataclass(frozen=True)
class Frame:
    """Where the data lie in the drawing."""

    x: Scale
    y: Scale

    @classmethod
    def around(cls, series: Sequence[Series]) -> Frame:
        """Fit all points and bands, with a little air above and below."""
        xs = [x for line in series for x, _ in line.points]
        ys = [y for line in series for _, y in line.points]
        ys += [edge for line in series for _, low, high in line.edges for edge in (low, high)]
        x_range = widened(min(xs), max(xs), share=0.0, alone=0.5)
        y_range = widened(min(ys), max(ys), share=0.05, alone=0.5 * abs(ys[0]) or 0.5)
        return cls(Scale(*x_range, LEFT, RIGHT), Scale(*y_range, BOTTOM, TOP))

    def place(self, x: Number, y: Number) -> str:
        """Return the coordinates of a point, as SVG lists them."""
        return f"{self.x.at(x):.1f},{self.y.at(y):.1f}"


def line_chart(identifier: str, title: str, series: Sequence[Series], unit: str = "") -> str:
    """Draw `series` over iterations as one SVG element; empty text when there is nothing to draw.

    Args:
        identifier: Distinguishes this chart's ids from those of others on the page.
        title: What the vertical axis measures; also the accessible name.
        series: Bands are drawn first, then marks, then lines.
        unit: Written after the title, in brackets.
    """
    if not any(line.points for line in series):
        return ""
    frame = Frame.around(series)
    label = f"{title} ({unit})" if unit else title
    lines = [line for line in series if line.points and not line.marks]
    ends = spread_out([frame.y.at(line.points[-1][1]) for line in lines])
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{identifier}-title {identifier}-desc">',
        f'<title id="{identifier}-title">{escape(label)} by iteration</title>',
        f'<desc id="{identifier}-desc">{escape(describe(series))}</desc>',
        _value_axis(frame, label),
        _iteration_axis(frame),
        *(_band(line, frame) for line in series),
        *(_marks(line, frame) for line in series if line.marks),
        *(_line(line, frame, end) for line, end in zip(lines, ends, strict=True)),
        *_readouts(series, frame),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def describe(series: Iterable[Series]) -> str:
    """Say in words where each series starts and ends."""
    sentences = []
    for line in series:
        if not line.points:
            continue
        (start, first), (end, last) = line.points[0], line.points[-1]
        decimals = decimals_for((first, last))
        sentences.append(
            f"{line.label}: from {number(first, decimals)} at iteration {number(start, 0)} "
            f"to {number(last, decimals)} at iteration {number(end, 0)}."
        )
    return " ".join(sentences)


def spread_out(heights: Sequence[Number]) -> list[Number]:
    """Move the numbers at the ends of lines as far apart as their text is high, in their order."""
    downwards = sorted(range(len(heights)), key=lambda index: heights[index])
    placed, least, most = list(heights), TOP, BOTTOM
    for index in downwards:
        placed[index] = max(placed[index], least)
        least = placed[index] + LINE_HEIGHT
    # Those that were pushed out below push back.
    for index in reversed(downwards):
        placed[index] = min(placed[index], most)
        most = placed[index] - LINE_HEIGHT
    return placed


def _value_axis(frame: Frame, label: str) -> str:
    values = ticks(frame.y.low, frame.y.high)
    decimals = tick_decimals(values)
    parts = [f'<text class="axis-name" x="0" y="11">{escape(shorten(label, 32))}</text>']
    for value in values:
        y = f"{frame.y.at(value):.1f}"
        parts.append(
            f'<line class="rule" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y}" dy="0.32em" text-anchor="end">'
            f"{number(value, decimals)}</text>"
        )
    return "\n".join(parts)


def _iteration_axis(frame: Frame) -> str:
    parts = [f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>']
    for value in ticks(frame.x.low, frame.x.high, whole=True):
        parts.append(
            f'<text class="tick" x="{frame.x.at(value):.1f}" y="{BOTTOM + 16}" '
            f'text-anchor="middle">{number(value, 0)}</text>'
        )
    parts.append(
        f'<text class="axis-name" x="{(LEFT + RIGHT) / 2:g}" y="{HEIGHT - 6}" '
        'text-anchor="middle">iteration</text>'
    )
    return "\n".join(parts)


def _band(line: Series, frame: Frame) -> str:
    edges = line.edges
    if not edges:
        return ""
    upper = [frame.place(x, high) for x, _, high in edges]
    lower = [frame.place(x, low) for x, low, _ in reversed(edges)]
    return f'<polygon class="band {line.tone}" points="{" ".join(upper + lower)}"/>'


def _line(line: Series, frame: Frame, end: Number) -> str:
    points = " ".join(frame.place(x, y) for x, y in line.points)
    x, y = line.points[-1]
    left, top = f"{frame.x.at(x):.1f}", f"{frame.y.at(y):.1f}"
    return (
        f'<polyline class="line {line.tone}" points="{points}"/>\n'
        f'<circle class="dot {line.tone}" cx="{left}" cy="{top}" r="3"/>\n'
        f'<text class="end {line.tone}" x="{left}" y="{end:.1f}" dx="7" dy="0.32em">'
        f"{escape(_value(line, y))}</text>"
    )


def _value(line: Series, value: Number) -> str:
    """A number of a line, after what tells it from others."""
    text = number(value, decimals_for([value]))
    return f"{line.short}: {text}" if line.short else text


def _marks(line: Series, frame: Frame) -> str:
    diamond = "l4.5 4.5l-4.5 4.5l-4.5 -4.5z"
    return "\n".join(
        f'<path class="mark {line.tone}" '
        f'd="M{frame.x.at(x):.1f} {frame.y.at(y) - 4.5:.1f}{diamond}"/>'
        for x, y in line.points
    )


def _readouts(series: Sequence[Series], frame: Frame) -> Iterable[str]:
    """One strip an iteration that, under the pointer, shows the values there: CSS, no script."""
    values: dict[Number, list[str]] = {}
    for line in series:
        for x, y in line.points:
            text = _value(line, y) if line.short else f"{line.label} {_value(line, y)}"
            values.setdefault(x, []).append(text)
    shown = evenly_spaced(sorted(values), MAX_READOUTS)
    centres = [frame.x.at(x) for x in shown]
    middles = [(a + b) / 2 for a, b in pairwise(centres)]
    starts, ends = [LEFT, *middles], [*middles, RIGHT]
    for x, start, centre, end in zip(shown, starts, centres, ends, strict=True):
        text = f"iteration {number(x, 0)}: {', '.join(values[x])}"
        yield (
            f'<g class="readout"><rect x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" '
            f'height="{BOTTOM - TOP}"/><line x1="{centre:.1f}" x2="{centre:.1f}" y1="{TOP}" '
            f'y2="{BOTTOM}"/><text x="{RIGHT}" y="11" text-anchor="end">{escape(text)}</text></g>'
        )
