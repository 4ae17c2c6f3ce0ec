"""How text and numbers are written on the page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

MINUS = "\u2212"
NOT_SCORED = "not scored"


def escape(text: object) -> str:
    """Return `text` safe inside an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def breakable(name: str) -> str:
    """Escape `name` and let the browser break it after an underscore or a slash."""
    return escape(name).replace("_", "_<wbr>").replace("/", "/<wbr>")


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, the last one an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def decimals_for(values: Iterable[int | float]) -> int:
    """Return the decimals that show three or four figures of the largest of `values`, 0 to 6.

    Numbers that stand in one column share it, so that their points align.
    """
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0.0:
        return 3
    power = math.floor(math.log10(largest))
    return min(6, max(0, 3 - power if power >= 0 else 2 - power))


def number(value: int | float | None, decimals: int) -> str:
    """Write `value` with a true minus sign and thousands separators; None is "not scored"."""
    if value is None:
        return NOT_SCORED
    text = f"{abs(value):,.{decimals}f}"
    is_zero = not text.strip("0.,")
    return MINUS + text if value < 0 and not is_zero else text


def signed(value: float, decimals: int) -> str:
    """Write a difference: as `number`, with a plus sign when it is not negative."""
    text = number(value, decimals)
    return text if text.startswith(MINUS) else "+" + text


def compact(value: float | None) -> str:
    """Write `value` with four significant figures, for tables that mix quantities."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return number(value, 0)
    return f"{value:.4g}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """Write a time in its two largest units: "41 s", "3 min 51 s", "2 h 5 min"."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def counted(count: int, noun: str) -> str:
    """Write a count and its noun: "1 image", "2 images"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
