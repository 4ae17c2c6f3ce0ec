"""What a reward tells beside its numbers: why some are missing, and how each came about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

MOST_BYTES = 100_000
"""Of a detail as JSON, so that what is kept of samples stays small, whatever they are."""


@dataclass(frozen=True)
class Explained:
    """What a reward may return in place of its numbers alone.

    Attributes:
        numbers: `B` of them.
        reasons: by row, why it has no number (NaN), as far as the reward knows.
        details: by row, how it came to its number, for people: JSON of up to `MOST_BYTES`. Those
            of held-out samples are kept.
    """

    numbers: Any
    reasons: Mapping[int, str] = field(default_factory=dict)
    details: Mapping[int, Any] = field(default_factory=dict)


def explain(result: Any) -> Explained:
    """What a reward returned, with nothing told where it gave numbers alone."""
    return result if isinstance(result, Explained) else Explained(result)


def renumbered(told: Mapping[int, T], rows: Sequence[int]) -> dict[int, T]:
    """What is told of some rows of a batch, numbered as in the batch.

    Args:
        told: by row of the part.
        rows: of the batch that the part is made of.
    """
    return {rows[row]: what for row, what in told.items()}


def problem(explained: Explained, rows: int, missing: Mapping[int, Any]) -> str:
    """What a reward should not have told; empty where there is nothing wrong.

    Args:
        explained: what it returned.
        rows: of the batch.
        missing: of which rows the number is missing.
    """
    for row, reason in explained.reasons.items():
        if row not in missing:
            return f"a reason for row {row}, which is not NaN: {reason}"
    for row, detail in explained.details.items():
        if row not in range(rows):
            return f"a detail for row {row}, which is none of its {rows}"
        if wrong := _not_short_json(detail):
            return f"a detail for row {row} that {wrong}: {detail!r:.80}"
    return ""


def _not_short_json(detail: Any) -> str:
    try:
        size = len(json.dumps(detail, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):  # of text that is no Unicode, too
        return "is not JSON"
    return f"has {size:,} bytes as JSON, more than {MOST_BYTES:,}" if size > MOST_BYTES else ""
