"""The completions of a model card, before and after."""

from __future__ import annotations

from collections.abc import Sequence

from ddpo.export.markdown import literal, table
from ddpo.gallery.formatting import shorten
from ddpo.gallery.run_folder import Sample
from ddpo.gallery.texts import Completion

LONGEST = 400
MOST_LINES = 16


def before_and_after(pairs: Sequence[tuple[Sample, Sample]]) -> str:
    """A table of prompts and what became of them, the beginning of each where it is long."""
    rows = []
    for before, after in pairs:
        contents = [sample.content for sample in (before, after)]
        texts = [content.text for content in contents if isinstance(content, Completion)]
        rows.append(tuple(_cell(text) for text in (before.prompt, *texts)))
    return table(("prompt", "base model", "this model"), rows)


def _cell(text: str) -> str:
    """A text on the one line that a row has."""
    lines = shorten(text, LONGEST).strip("\n").split("\n")
    shown = lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "…"]
    return "<br>".join(_indented(line) for line in shown) if text.strip() else "*(empty)*"


def _indented(line: str) -> str:
    """A line of a text, with the indentation that programs have."""
    bare = line.lstrip(" \t")
    return "&#160;" * len(line[: len(line) - len(bare)].expandtabs(4)) + literal(bare)
