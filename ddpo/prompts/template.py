"""A template of a prompt: text with names of columns in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter

MOST = re.compile(r"\.(\d+)")


@dataclass(frozen=True)
class Piece:
    """A text, and the column whose value follows it.

    Attributes:
        literal: the text.
        column: None where nothing follows.
        most: characters of the value that are taken, the first; None for all.
    """

    literal: str
    column: str | None
    most: int | None = None


@dataclass(frozen=True)
class Template:
    """Texts and names of columns in turn. Nothing but values, or their beginnings, is looked up."""

    pieces: tuple[Piece, ...]

    @property
    def columns(self) -> list[str]:
        """The columns that it names, in their order, each once."""
        return list(dict.fromkeys(p.column for p in self.pieces if p.column is not None))


def parse_template(text: str) -> Template:
    """Read `Write a caption for: {text}`; a doubled brace is a brace, and `{text:.200}` the first
    200 characters.

    Raises:
        ValueError: a brace is alone, a conversion or another format follows a name, or no column is
            named.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; double a brace that is meant as text") from error
    pieces: list[Piece] = []
    for literal, name, form, conversion in parsed:
        if name is not None and not name:
            raise ValueError("{} names no column; write a name in the braces")
        most = MOST.fullmatch(form or "")
        if conversion or (form and not most):
            raise ValueError(
                f"write {{{name}}} alone, or {{{name}:.200}} for its first 200 characters"
            )
        pieces.append(Piece(literal, name, int(most[1]) if most else None))
    template = Template(tuple(pieces))
    if not template.columns:
        raise ValueError("it names no column, so that all prompts would be the same; write {name}")
    return template
