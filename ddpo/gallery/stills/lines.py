"""The curves of a run, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, ScalarFormatter, StrMethodFormatter
from PIL import Image

from ddpo.gallery.chart import Series
from ddpo.gallery.curves import Panel
from ddpo.gallery.formatting import decimals_for
from ddpo.gallery.stills.lettering import SMALL, STRONG, STRONG_SMALL, fitted, line_height
from ddpo.gallery.stills.numbers import written
from ddpo.gallery.stills.sheet import COLUMN_GAP, Sheet, in_columns

MOST = 6
LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 90, 112, 58, 250, 84
"""Around the data of a chart, and its height, in pixels."""
APART = 80
"""At least, from one iteration that is named to the next, in pixels."""
ROUND = [1, 2, 5, 10]
"""Ticks are these apart, times a power of ten."""
MARK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 6,
    "markeredgewidth": 1.3,
}


def line_charts(found: Sequence[Panel], width: int, colours: Mapping[str, str]) -> Image.Image:
    """Draw panels beside and below each other, and one legend for all.

    Args:
        found: at least one; the first `MOST` are drawn.
        width: in pixels.
        colours: of the page, by name.
    """
    shown = found[:MOST]
    columns, apart = in_columns(len(shown), width)
    step = TOP + HEIGHT + BOTTOM
    rows = -(-len(shown) // columns)
    sheet = Sheet(width, rows * step + line_height(SMALL), colours)
    for at, panel in enumerate(shown):
        corner = (at % columns * apart, at // columns * step)
        _chart(sheet, corner, apart - COLUMN_GAP, panel)
    _legend(sheet, (0, rows * step), shown)
    return sheet.image()


def _chart(sheet: Sheet, corner: tuple[int, int], width: int, panel: Panel) -> None:
    x, y = corner
    sheet.write(x, y, fitted(panel.title, STRONG, width - RIGHT), STRONG)
    size = (width - LEFT - RIGHT, HEIGHT)
    axes = sheet.axes((x + LEFT, y + TOP), size)
    _plain(axes, size[0], sheet.colours)
    for series in panel.series:
        if series.points:
            _draw(axes, series, sheet.colours)


def _plain(axes: Axes, width: int, colours: Mapping[str, str]) -> None:
    """An axis at the bottom, thin rules at round values, and no frame."""
    axes.set_facecolor(colours["page"])
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=colours["rule"], linewidth=0.8)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(colours["axis"])
    axes.tick_params(
        length=0,
        pad=6,
        labelcolor=colours["muted"],
        labelsize=SMALL.get_size_in_points(),
        labelfontfamily=SMALL.get_name(),
    )
    axes.yaxis.get_offset_text().set(fontproperties=SMALL, color=colours["muted"])
    axes.xaxis.set_major_locator(MaxNLocator(width // APART, steps=ROUND, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND, min_n_ticks=3))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.set_xlabel("iteration", font_properties=SMALL, color=colours["muted"])
    axes.margins(x=0.01, y=0.06)


def _draw(axes: Axes, series: Series, colours: Mapping[str, str]) -> None:
    tone = colours[series.tone]
    xs, ys = zip(*series.points, strict=True)
    if series.marks:
        axes.plot(xs, ys, color=tone, markerfacecolor=colours["page"], clip_on=False, **MARK)
        return
    if series.edges:
        at, low, high = zip(*series.edges, strict=True)
        axes.fill_between(at, low, high, color=tone, alpha=0.13, linewidth=0)
    axes.plot(xs, ys, color=tone, linewidth=2, solid_joinstyle="round")
    axes.plot(xs[-1:], ys[-1:], color=tone, marker="o", markersize=5, clip_on=False)
    axes.annotate(
        written(ys[-1], decimals_for(ys[-1:]), STRONG_SMALL, RIGHT - 12),
        (xs[-1], ys[-1]),
        xytext=(6, 0),
        textcoords="offset points",
        verticalalignment="center",
        font_properties=STRONG_SMALL,
        color=tone,
        annotation_clip=False,
    )


def _legend(sheet: Sheet, corner: tuple[int, int], shown: Sequence[Panel]) -> None:
    """Say what the signs are that occur."""
    tone = sheet.colours["muted"]
    drawn = [series for panel in shown for series in panel.series if series.points]
    handles: list[Artist] = []
    if any(not series.marks for series in drawn):
        handles.append(Line2D([], [], color=tone, linewidth=2, label="mean of the samples"))
    if any(series.spread for series in drawn):
        label = "± one standard deviation"
        handles.append(Patch(color=tone, alpha=0.2, linewidth=0, label=label))
    if any(series.marks for series in drawn):
        label = "evaluation, fixed prompts and seeds"
        handles.append(Line2D([], [], color=tone, label=label, markerfacecolor="none", **MARK))
    sheet.legend(corner, handles)
