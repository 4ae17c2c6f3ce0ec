"""Text from data inside Markdown: it is shown as it is, and never becomes structure."""

from __future__ import annotations

import re

HARMLESS = " ,'"


def literal(text: object) -> str:
    """Text on one line in which every sign that Markdown or HTML could read is a character
    reference.
    """
    line = " ".join(str(text).split())
    return "".join(c if c.isalnum() or c in HARMLESS else f"&#{ord(c)};" for c in line)


def fenced(text: str, language: str) -> str:
    """A block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
