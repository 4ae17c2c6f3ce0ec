"""metrics.jsonl: one JSON object per iteration, always; a tracker beside it if asked."""

from __future__ import annotations

import json
import math
from pathlib import Path

Row = dict[str, float | int | None]


class MetricsLog:
    """The rows of a run, on disk."""

    def __init__(self, path: Path):
        """Rows are appended to `path`."""
        self._path = path

    def append(self, row: Row) -> None:
        """Write one row as one line; what is no finite number becomes null."""
        finite = {name: value if _is_number(value) else None for name, value in row.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")

    def empty(self) -> bool:
        """Whether no row was written yet."""
        return not read_metrics(self._path)

    def keep_until(self, iteration: int) -> None:
        """Forget rows after `iteration`, and a last line that was cut short: a resumed run writes
        them again.
        """
        kept = [row for row in read_metrics(self._path) if (row["iteration"] or 0) <= iteration]
        aside = self._path.with_suffix(".tmp")
        aside.write_text("".join(json.dumps(row) + "\n" for row in kept))
        aside.replace(self._path)


def read_metrics(path: Path) -> list[Row]:
    """The rows of a metrics file, without a last line that was cut short; none where there is no
    file.
    """
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _is_number(value: float | int | None) -> bool:
    return value is not None and math.isfinite(value)
