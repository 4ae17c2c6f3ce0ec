"""A reward that tells how it came to its number, as `code_tests` does, and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rewards import Explained, reward


@reward("tested", modality="text")
def tested(texts: Sequence[str], prompts: Sequence[str]) -> Explained:
    """Whether there is an "a" in a text; nothing is told of empty ones."""
    details = {row: result(text) for row, text in enumerate(texts) if text}
    return Explained([float("a" in text) for text in texts], details=details)


def result(text: str) -> dict[str, Any]:
    """What it tells of one."""
    passed = "a" in text
    test = {"call": "'a' in text", "expected": "True", "got": str(passed), "passed": passed}
    return {"python": True, "passed": int(passed), "count": 1, "tests": [test]}
