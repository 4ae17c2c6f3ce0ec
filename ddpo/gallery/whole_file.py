"""Files that are there whole or not at all, whenever a run or its machine is stopped."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(target: Path, content: bytes) -> None:
    """Write `content` beside `target`, then rename: a reader sees the old file or the new one.

    A file that holds `content` already stays as it is, with the time it was written.
    """
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = beside(target)
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def beside(target: Path) -> Path:
    """Where this process prepares `target`: hidden, in the same folder, to be renamed."""
    return target.with_name(f".{target.name}.{os.getpid()}")
