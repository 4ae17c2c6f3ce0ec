"""Texts in a picture: fonts, what they can show of a text, and where its lines end."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache

import regex
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, get_font

from ddpo.gallery.formatting import shorten
from ddpo.gallery.scale import Number

DPI = 150
LINE = 1.4
"""Height of a line, in sizes of its letters."""
LONGEST = 1000
"""Characters of a text that are looked at: more than any place in a picture shows."""
UNKNOWN = "\ufffd"
PILE = regex.compile(r"(\p{Mn}{2})\p{Mn}+")
"""More than two marks on a letter, which would reach into other lines."""


def font(size: Number, weight: str = "normal", family: str = "DejaVu Sans") -> FontProperties:
    """A font that comes with matplotlib, `size` in points; nothing depends on the user's."""
    return FontProperties(
        family=[family],
        style="normal",
        variant="normal",
        weight=weight,
        stretch="normal",
        size=size,
        math_fontfamily="dejavusans",
    )


TITLE = font(22, "bold")
FIGURE = font(17, "bold")
STRONG = font(10, "bold")
BODY = font(10)
SMALL = font(9)
STRONG_SMALL = font(9, "bold")
EQUAL = font(9, family="DejaVu Sans Mono")


def line_height(letters: FontProperties) -> int:
    """From one line to the next, in pixels."""
    return round(LINE * letters.get_size_in_points() * DPI / 72)


def text_width(text: str, letters: FontProperties) -> Number:
    """The width of a line of `drawable` text, in pixels."""
    return _renderer().get_text_width_height_descent(text, letters, False)[0]


def drawable(text: str, letters: FontProperties) -> str:
    """Return `text` in one line, and a sign in place of what the font does not have.

    What only steers other characters, such as their direction, is left out.
    """
    written = regex.sub(r"\p{Cf}", "", shorten(text, LONGEST))
    composed = unicodedata.normalize("NFC", PILE.sub(r"\1", " ".join(written.split())))
    known = get_font(findfont(letters)).get_char_index
    return "".join(one if one.isprintable() and known(ord(one)) else UNKNOWN for one in composed)


def fitted(text: str, letters: FontProperties, room: Number) -> str:
    """Return `text` in one drawable line of at most `room` pixels, with an ellipsis if cut."""
    return "".join(wrapped(text, letters, room, most=1))


def wrapped_prompt(prompt: str, letters: FontProperties, room: Number, most: int) -> list[str]:
    """Break a prompt into lines, or say that there is nothing to see of it."""
    return wrapped(drawable(prompt, letters) or "(empty prompt)", letters, room, most)


def wrapped(text: str, letters: FontProperties, room: Number, most: int) -> list[str]:
    """Break `text` into drawable lines, at least one, between words where there are such.

    Args:
        text: any.
        letters: the font.
        room: width of a line, in pixels.
        most: lines; the last one ends with an ellipsis if there was more.
    """
    rest = drawable(text, letters)
    lines = []
    while rest and len(lines) < most:
        end = _longest(rest, letters, room)
        if end < len(rest) and len(lines) + 1 < most and " " in rest[: end + 1]:
            end = rest[: end + 1].rindex(" ") or end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest:
        kept = _longest(lines[-1], letters, room - text_width("…", letters))
        lines[-1] = lines[-1][:kept].rstrip() + "…"
    return lines or [""]


def _longest(text: str, letters: FontProperties, room: Number) -> int:
    """How many characters fit, at least one."""
    counts = range(1, len(text) + 1)
    return max(1, bisect_right(counts, room, key=lambda count: text_width(text[:count], letters)))


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, DPI)
