"""The gallery of a run that goes on: written again now and then, for a hundredth of its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ddpo.gallery.writing import write_gallery

SHARE = 0.01
"""Of the time that went into everything else."""
FIRST = 0.5
"""Seconds that the first time is taken to cost, before there is one to go by."""


class Refresher:
    """Writes a run's gallery every so many iterations, as long as that stays within its share.

    Attributes:
        spent: seconds that it took so far.
    """

    def __init__(
        self,
        run: Path,
        every: int,
        *,
        say: Callable[[str], None],
        write: Callable[[Path], object] = write_gallery,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Time counts from now on.

        Args:
            run: its folder.
            every: iterations; 0 for never.
            say: prints a line.
            write: writes the gallery of a run's folder.
            clock: gives seconds.
        """
        self._run = run
        self._every = every
        self._say = say
        self._write = write
        self._clock = clock
        self._began = clock()
        self._estimate = FIRST
        self._problem = ""
        self.spent = 0.0

    def refresh(self, iteration: int) -> None:
        """Write the gallery if it is due after this iteration, and cheap enough."""
        if not self._every or iteration % self._every:
            return
        start = self._clock()
        others = start - self._began - self.spent
        # What it will cost is what it cost last: little of a gallery is new each time.
        if self.spent + self._estimate > SHARE * others:
            return
        self._try()
        self._estimate = self._clock() - start
        self.spent += self._estimate

    def _try(self) -> None:
        """Write; of a failure that is not the last one's, say so in a line."""
        try:
            self._write(self._run)
        except Exception as error:  # whatever it is, a page is not worth a run
            problem = " ".join(str(error).split()) or type(error).__name__
            if problem != self._problem:
                self._say(f"the gallery could not be written, and the run goes on: {problem}")
            self._problem = problem
        else:
            self._problem = ""
