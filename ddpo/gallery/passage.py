"""A text from data, such as a prompt: shown as it is, and folded where it is long."""

from __future__ import annotations

from ddpo.gallery.formatting import escape, shorten

LONG = 240
MOST_LINES = 12


def passage(text: str, style: str = "") -> str:
    """Return `text`, escaped and apart from the direction of what is around it.

    Of a long one the beginning is shown, and all of it behind that.

    Args:
        text: any.
        style: classes for the style sheet.
    """
    start = shorten(_first_lines(text), LONG)
    if start == text:
        return _isolated(text, style)
    whole = f"whole {style}".rstrip()
    return (
        f"<details><summary>{_isolated(start, style)}</summary>{_isolated(text, whole)}</details>"
    )


def _first_lines(text: str) -> str:
    lines = text.split("\n")
    return text if len(lines) <= MOST_LINES else "\n".join([*lines[:MOST_LINES], "…"])


def _isolated(text: str, style: str) -> str:
    marker = f' class="{style}"' if style else ""
    return f"<bdi{marker}>{escape(text)}</bdi>"
