"""The top of the figure: what was trained, what changed, and what that says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.font_manager import FontProperties
from PIL import Image

from ddpo.gallery.changes import Change, changes
from ddpo.gallery.diversity import diversity
from ddpo.gallery.formatting import signed
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.stills.lettering import (
    BODY,
    FIGURE,
    SMALL,
    STRONG,
    TITLE,
    fitted,
    line_height,
    text_width,
    wrapped,
)
from ddpo.gallery.stills.numbers import written
from ddpo.gallery.stills.sheet import COLUMN_GAP, Sheet, in_columns, stacked
from ddpo.gallery.summary import basis, ends, sentence
from ddpo.gallery.verdicts import verdicts

MOST = 6
"""Figures that are shown."""
NOTICES = 3
GAP = 40
PADDING = 18


def opening(run: RunFolder, width: int, colours: Mapping[str, str]) -> list[Image.Image]:
    """The parts of it, from the top.

    Args:
        run: which.
        width: of each part, in pixels.
        colours: of the page, by name.
    """
    found = changes(run)
    told = sentence(run, lambda text, tag: text)
    head = _lines([run.name], TITLE, width, colours, "text")
    parts = [stacked([head, _lines([told], BODY, width, colours, "muted")], 6, 0, colours["page"])]
    if found:
        parts.append(_figures(run, found[:MOST], width, colours))
    said = verdicts(found, diversity(run), run.kind)
    if said.warnings:
        parts.append(_notice(said.warnings, "warning", width, colours))
    if said.good:
        parts.append(_notice(said.good, "good", width, colours))
    if run.problems:
        parts.append(_lines(run.problems[:NOTICES], SMALL, width, colours, "muted"))
    return parts


def _lines(
    texts: Sequence[str], letters: FontProperties, width: int, colours: Mapping[str, str], tone: str
) -> Image.Image:
    lines = [line for text in texts for line in wrapped(text, letters, width, most=2)]
    sheet = Sheet(width, len(lines) * line_height(letters), colours)
    sheet.write(0, 0, lines, letters, tone)
    return sheet.image()


def _figures(
    run: RunFolder, found: Sequence[Change], width: int, colours: Mapping[str, str]
) -> Image.Image:
    """The mean of each reward before and after, as large figures."""
    columns, apart = in_columns(len(found), width)
    step = PADDING + sum(line_height(letters) for letters in (SMALL, STRONG, FIGURE, SMALL)) + GAP
    rows = -(-len(found) // columns)
    foot = line_height(SMALL)
    sheet = Sheet(width, rows * step - GAP + PADDING + foot, colours)
    for at, change in enumerate(found):
        corner = (at % columns * apart, at // columns * step)
        _figure(sheet, corner, apart - COLUMN_GAP, change, " → ".join(ends(run)))
    told = fitted(basis(run, found), SMALL, width)
    sheet.write(0, sheet.height - foot, told, SMALL, "muted")
    return sheet.image()


def _figure(
    sheet: Sheet, corner: tuple[int, int], room: int, change: Change, compared: str
) -> None:
    x, y = corner
    tone = "watch" if change.watched else "reward"
    room_of_each = (room - text_width(" → ", FIGURE)) / 2
    before, after = (
        written(mean, change.decimals, FIGURE, room_of_each)
        for mean in (change.before, change.after)
    )
    role = "watched, never optimised" if change.watched else "reward"
    sheet.box((x, y), (room, 4), face=tone)
    below = sheet.write(x, y + PADDING, role, SMALL, "muted")
    below = sheet.write(x, below, fitted(change.name, STRONG, room), STRONG)
    below = sheet.write(x, below, f"{before} → {after}", FIGURE)
    delta = f"{signed(change.delta, change.decimals)}, {compared}"
    sheet.write(x, below, fitted(delta, SMALL, room), SMALL, tone)


def _notice(said: Sequence[str], tone: str, width: int, colours: Mapping[str, str]) -> Image.Image:
    lines = [
        line for text in said[:NOTICES] for line in wrapped(text, BODY, width - 2 * GAP, most=2)
    ]
    sheet = Sheet(width, len(lines) * line_height(BODY) + 2 * PADDING, colours)
    sheet.box((0, 0), (width, sheet.height), face=tone)
    sheet.write(GAP / 2, PADDING, lines, BODY, f"{tone}-text")
    return sheet.image()
