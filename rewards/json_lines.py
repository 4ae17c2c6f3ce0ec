"""JSON lines: one object a line, all with the same keys. Who reads samples or prompts shares it."""

import json
from typing import Any

from rewards.errors import RewardError, one_line


def parse_lines(text: str, source: str, example: str) -> dict[int, dict[str, Any]]:
    """The objects of a text of one JSON object a line, by the number of their line, from 1.

    Blank lines are left out; line ends may be those of Windows.

    Args:
        text: of the file.
        source: what it is called in messages.
        example: of a line, for messages.

    Raises:
        RewardError: a line is something else, or has other keys than the first: names the line.
    """
    rows: dict[int, dict[str, Any]] = {}
    first = 0
    for number, line in enumerate(text.split("\n"), 1):  # a text in quotes may hold other line ends
        if not line.strip():
            continue
        where = f"{source}: line {number}"
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise RewardError(f"{where} is not an object in braces, such as {example}")
        first = first or number
        if rows and row.keys() != rows[first].keys():
            raise RewardError(
                f"{where} has the keys {_keys(row)}, and line {first} has {_keys(rows[first])}: "
                f"lines must all have the same keys, with null where there is no value"
            )
        rows[number] = row
    return rows


def parse_json(text: str, where: str) -> Any:
    """What a text of JSON says.

    Raises:
        RewardError: it is not JSON, or too long or deep: `where`, the place, and why.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise RewardError(
            f"{where} is not JSON ({line}column {error.colno}: {error.msg})"
        ) from error
    except (ValueError, RecursionError) as error:  # numbers too long, or nested too deep
        raise RewardError(f"{where} is not JSON that can be read: {one_line(error)}") from error


def _keys(row: dict[str, Any]) -> str:
    return ", ".join(map(repr, row)) or "none"
