"""Completions on the page, and the reference that a prompt comes with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ddpo.gallery.kinds import COMPLETIONS, Kind
from ddpo.gallery.passage import passage
from ddpo.gallery.programs import Results

REFERENCE_COLUMNS = ("reference", "references")


@dataclass(frozen=True)
class Completion:
    """A text that a policy wrote, and what became of its tests where it is a program."""

    text: str
    results: Results | None = None
    kind: ClassVar[Kind] = COMPLETIONS

    @property
    def usable(self) -> bool:
        """See `Content`."""
        return True

    def draw(self, description: str, place: str | None) -> str:
        """See `Content`: wrapped, with its line ends; of equal width where it has several lines."""
        if not self.text.strip():
            what = "empty" if not self.text else "white space alone"
            return f'<p class="muted">({what})</p>'
        lines = self.results is not None or "\n" in self.text.strip("\n")
        drawn = passage(self.text, "completion lines" if lines else "completion")
        return f'{drawn}\n<p class="passed">{self.results.summary}</p>' if self.results else drawn

    @classmethod
    def diversity(cls, contents: Sequence[Completion]) -> float | None:
        """See `Content`: distinct-2 of all texts together, the share of neighbouring words that are
        a pair for the first time (Li et al., 2016).
        """
        if len(contents) < 2:
            return None
        words = (each.text.split() for each in contents)
        pairs = [pair for text in words for pair in pairwise(text)]
        return len(set(pairs)) / len(pairs) if pairs else 0.0


def reference_of(columns: Mapping[str, Any]) -> str | None:
    """The text that completions are compared with, the first of several; None where the columns
    have none.
    """
    for name in REFERENCE_COLUMNS:
        value = columns.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        if value is not None:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return None
