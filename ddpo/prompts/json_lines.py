"""JSON lines: one object a line, whose values keep their types."""

from __future__ import annotations

from pathlib import Path

from ddpo.errors import UserError
from ddpo.prompts.table import Table
from ddpo.prompts.text_files import read_text
from rewards import RewardError
from rewards.json_lines import parse_lines

EXAMPLE = '{"prompt": "a cat", "reference": "the cat"}'


def read_json_lines(path: Path, key: str) -> Table:
    """The objects of a `.jsonl` file, all with the same keys; blank lines are left out.

    Raises:
        UserError: the file cannot be read, or a line is something else: names the line.
    """
    text = read_text(path, key)
    try:
        rows = parse_lines(text, str(path), EXAMPLE)
    except RewardError as error:
        raise UserError(f"{key}: {error}") from error
    names = next(iter(rows.values()), {})
    columns = {name: [row[name] for row in rows.values()] for name in names}
    return Table(key, str(path), columns, list(rows))
