"""What `python -m rewards check` prints: a line for each property."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards.files import read_lines
from rewards.testing.examination import examine
from rewards.testing.finding import Finding


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
    rows = read_lines(path)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        "prompts": columns.pop("prompt"),
        "samples": columns.pop("text", None),
        "columns": columns,
    }


def _verdict(name: str, findings: Sequence[Finding]) -> str:
    failed = [finding for finding in findings if finding.status == "FAILED"]
    if not failed:
        return f"{name} keeps the contract"
    return f"{name} breaks the contract: {', '.join(finding.property for finding in failed)}"


def _status(findings: Sequence[Finding]) -> int:
    return int(any(finding.status == "FAILED" for finding in findings))
