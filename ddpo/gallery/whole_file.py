"""Files that are there whole or not at all, whenever a run or its machine is stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A hidden file beside `target` to be written inside, which then takes its place: a reader sees
    the old file or the new one. An error leaves the old one.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        yield aside
        os.replace(aside, target)
    finally:
        # What is left after an error; and renaming onto a link of the same file leaves both.
        aside.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    One that holds `content` already stays as it is, with the time it was written.
    """
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as aside, open(aside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
