"""CSV and TSV: a header, then a row of as many values a record. All values are text."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ddpo.errors import UserError
from ddpo.prompts.table import Table
from ddpo.prompts.text_files import read_text


def read_delimited(path: Path, key: str, delimiter: str) -> Table:
    """The records beneath the header of a file; a value in quotes may hold line ends.

    Blank lines are left out. A record is found by the line that it begins on.

    Raises:
        UserError: the file cannot be read, its header names a column twice or not at all, or a
            record is not of the header's length: names the line.
    """
    source = f"{key}: {path}"
    records = _records(read_text(path, key), delimiter, source)
    line, header = next(records, (1, []))
    _check_header(header, f"{source}: line {line}")
    rows, places = [], []
    for line, record in records:
        if len(record) != len(header):
            raise UserError(
                f"{source}: line {line}: {len(record)} values beneath a header of {len(header)}; "
                f"put a value that holds {_NAMES[delimiter]} into quotes"
            )
        rows.append(record)
        places.append(line)
    columns = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    return Table(key, str(path), columns, places)


read_csv = partial(read_delimited, delimiter=",")
read_tsv = partial(read_delimited, delimiter="\t")

_NAMES = {",": "a comma", "\t": "a tab"}


def _records(text: str, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _long_values():
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(
                    f"{source}: line {line}: the record that begins here cannot be read ({error}); "
                    f"write a quote inside a value in quotes twice"
                ) from error
            if record:
                yield line, record


def _check_header(header: list[str], where: str) -> None:
    """Refuse names that are missing or there twice."""
    for at, name in enumerate(header, 1):
        if not name:
            raise UserError(f"{where}: column {at} of the header has no name; give it one")
        if header.index(name) + 1 < at:
            raise UserError(f"{where}: the header names {name!r} twice; rename one of them")


@contextmanager
def _long_values() -> Iterator[None]:
    """Whole articles: the library's limit of 128 kB a value is one of the process."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a C long, of 32 bits on Windows
    try:
        yield
    finally:
        csv.field_size_limit(limit)
