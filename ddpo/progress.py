"""What a person at a terminal sees while a run goes on; elsewhere it is quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(total: int, done: int, *, shown: bool) -> Iterator[tqdm]:
    """A bar over iterations, with the time that is left; shown on a terminal only."""
    with tqdm(
        total=total,
        initial=done,
        desc="iteration",
        disable=not (shown and sys.stderr.isatty()),
        dynamic_ncols=True,
    ) as bar:
        yield bar
