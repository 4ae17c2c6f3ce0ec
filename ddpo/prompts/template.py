"""A template of a prompt: text with names of columns in braces."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True)
class Template:
    """Texts and names of columns in turn. Nothing but whole values is ever looked up.

    Attributes:
        pieces: each a text and the column whose value follows it, None where nothing follows.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> list[str]:
        """The columns that it names, in their order, each once."""
        return list(dict.fromkeys(name for _, name in self.pieces if name is not None))


def parse_template(text: str) -> Template:
    """Read `Write a caption for: {text}`; a doubled brace is a brace.

    Raises:
        ValueError: a brace is alone, a format or conversion follows a name, or no column is named.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; double a brace that is meant as text") from error
    pieces: list[tuple[str, str | None]] = []
    for literal, name, form, conversion in parsed:
        if name is not None and not name:
            raise ValueError("{} names no column; write a name in the braces")
        if form or conversion:
            raise ValueError(f"write {{{name}}} alone: values are put in as they are")
        pieces.append((literal, name))
    template = Template(tuple(pieces))
    if not template.columns:
        raise ValueError("it names no column, so that all prompts would be the same; write {name}")
    return template
