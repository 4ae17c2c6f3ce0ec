"""Arrow's tables: Parquet files, and what datasets keep their rows in. Needs pyarrow."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ddpo.errors import UserError
from ddpo.prompts.table import Table


def read_parquet(path: Path, key: str) -> Table:
    """The rows of a Parquet file.

    Raises:
        UserError: pyarrow is not installed, or the file cannot be read or is something else.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError(
            f"{key}: {path} needs pyarrow, which is not installed: pip install 'ddpo[data]', or "
            f"write the file as .jsonl"
        ) from error
    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file).read()
    # Arrow's errors are ValueError, OSError and others that share no base of Python's.
    except (OSError, ValueError, import_module("pyarrow").ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise UserError(f"{key}: {path} cannot be read: {reason}") from error
    return from_arrow(table, key, str(path))


def from_arrow(table: Any, key: str, name: str) -> Table:
    """A `pyarrow.Table` as a table: lists as lists, structs as mappings.

    Raises:
        UserError: two columns have one name.
    """
    names = table.column_names
    for column in names:
        if names.count(column) > 1:
            raise UserError(f"{key}: {name} has two columns {column!r}; rename one of them")
    return Table(key, name, table.to_pydict(), range(1, table.num_rows + 1), "row")
