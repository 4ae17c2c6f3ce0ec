"""What `python -m rewards check` prints: a line for each property."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards.errors import RewardError
from rewards.testing.examination import examine
from rewards.testing.finding import Finding

EXAMPLE = '{"prompt": "a cat", "reference": "the cat"}'


def check(
    name: str, options: Mapping[str, Any] | None = None, columns: Path | None = None
) -> tuple[str, int]:
    """Examine the reward `name`: the text to print, and the exit code, 1 if a property fails.

    Args:
        name: of a reward, or `module:attribute`.
        options: to make it with.
        columns: a file to examine it on; `read_rows` says what it holds.

    Raises:
        RewardError: the reward cannot be made, a column is missing, or the file cannot be read.
    """
    findings = examine(name, options=options, **(read_rows(columns) if columns else {}))
    return "\n".join([*map(str, findings), _verdict(name, findings)]), _status(findings)


def read_rows(path: Path) -> dict[str, Any]:
    """Arguments of `examine` from a file of one JSON object a line, all with the same keys.

    `prompt` is the prompt, `text` (if there) the text to score, and each other key is a column:

        {"prompt": "Translate: Katze", "text": "a cat", "reference": "the cat"}

    Raises:
        RewardError: the file cannot be read, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [_row(json.loads(line)) for line in lines if line.strip()]
    except (OSError, TypeError, ValueError) as error:
        problem = f"{path} is not a file of lines such as {EXAMPLE}: {error}"
        raise RewardError(problem) from error
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        raise RewardError(f"{path}: its lines, at least one, must all have the same keys")
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        "prompts": columns.pop("prompt"),
        "samples": columns.pop("text", None),
        "columns": columns,
    }


def _row(line: Any) -> dict[str, Any]:
    if not isinstance(line, dict) or not isinstance(line.get("prompt"), str):
        raise TypeError(f'{line!r} is not an object with a "prompt"')
    return line


def _verdict(name: str, findings: Sequence[Finding]) -> str:
    failed = [finding for finding in findings if finding.status == "FAILED"]
    if not failed:
        return f"{name} keeps the contract"
    return f"{name} breaks the contract: {', '.join(finding.property for finding in failed)}"


def _status(findings: Sequence[Finding]) -> int:
    return int(any(finding.status == "FAILED" for finding in findings))
