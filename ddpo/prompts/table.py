"""A table that prompts are made of: what every reader of files and datasets gives."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ddpo.errors import UserError

SHOWN_COLUMNS = 20
"""How many columns a message names."""


@dataclass(frozen=True)
class Table:
    """Columns of one length, and where each row is found.

    Attributes:
        key: of the configuration, for messages, such as `prompts.file`.
        name: of the file or dataset.
        columns: per column, one value a row.
        places: the number of each row where it was read, from 1.
        unit: what that number counts: lines or rows.
    """

    key: str
    name: str
    columns: dict[str, list[Any]]
    places: Sequence[int]
    unit: str = "line"

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.places)

    def first(self, count: int | None) -> Table:
        """The first rows, or all."""
        columns = {name: values[:count] for name, values in self.columns.items()}
        return Table(self.key, self.name, columns, self.places[:count], self.unit)

    def problem(self, row: int, what: str) -> UserError:
        """What is wrong with a row, as an error to raise."""
        return UserError(f"{self.key}: {self.name}: {self.unit} {self.places[row]}: {what}")

    def no_column(self, name: str) -> str:
        """That a column is missing, with the nearest name and all that there are."""
        close = difflib.get_close_matches(name, self.columns, n=1, cutoff=0.5)
        suggestion = f"did you mean {close[0]!r}? Its" if close else "its"
        return f"{self.name} has no column {name!r}; {suggestion} columns: {named(self.columns)}"


def named(columns: Sequence[str] | dict[str, Any]) -> str:
    """Names of columns in one line; the first ones where there are many."""
    shown = [repr(name) for name in columns][:SHOWN_COLUMNS]
    return ", ".join(shown) + (", …" if len(columns) > SHOWN_COLUMNS else "")
