"""The runs of a comparison: read, numbered, and refused where they cannot stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddpo.errors import UserError
from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.formatting import shorten
from ddpo.gallery.grid import ShownRun, heading
from ddpo.gallery.reproducing import run_folder
from ddpo.gallery.run_folder import RunFolder, read_run
from ddpo.gallery.thumbnails import make_thumbnails

MOST_RUNS = 8
"""As many as can be told apart in a chart."""
MOST_OF_NAME = 60


@dataclass(frozen=True)
class NumberedRun:
    """One of several runs: its number tells it apart, whatever it is called.

    Attributes:
        number: from 1 on, in the order in which the runs were named.
        shown: the run, and what the gallery has of it.
    """

    number: int
    shown: ShownRun

    @property
    def run(self) -> RunFolder:
        """The run as it was read."""
        return self.shown.run

    @property
    def title(self) -> str:
        """What it is called where there is room: its number, and its name as it is."""
        return f"{self.number} · {shorten(self.run.name, MOST_OF_NAME)}"

    @property
    def short(self) -> str:
        """What it is called where there is little room."""
        return f"run {self.number}"

    @property
    def tone(self) -> str:
        """The class of its lines."""
        return f"run-{self.number}"

    def column(self, iteration: int) -> str:
        """What its samples of an iteration are headed by."""
        return f"{self.title}, {heading(iteration, self.run)}"


def read_runs(folders: Sequence[Path]) -> tuple[RunFolder, ...]:
    """Read the runs of a comparison.

    Raises:
        NotARunError: one of them is not the folder of a run.
        UserError: there are too few or too many, one twice, or runs of different kinds.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise UserError(
            f"RUN: {len(folders)} given: name from 2 to {MOST_RUNS} runs to compare, each once"
        )
    runs = tuple(read_run(folder) for folder in folders)
    _refuse_repeated(runs)
    _refuse_kinds(runs)
    return runs


def numbered(runs: Sequence[RunFolder], gallery: GalleryFolder) -> tuple[NumberedRun, ...]:
    """Number the runs, and write what the gallery lacks of their pictures."""
    found = []
    for number, run in enumerate(runs, start=1):
        part = gallery.of_run(number)
        found.append(NumberedRun(number, ShownRun(run, make_thumbnails(run, part), part.part)))
    return tuple(found)


def _refuse_repeated(runs: Sequence[RunFolder]) -> None:
    paths = [run.path for run in runs]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise UserError(f"RUN: {run_folder(runs[index])} is named twice: name each run once")


def _refuse_kinds(runs: Sequence[RunFolder]) -> None:
    first = runs[0]
    for other in runs[1:]:
        if other.kind != first.kind:
            raise UserError(
                f"RUN: {run_folder(first)} has {first.kind.several}, {run_folder(other)} "
                f"{other.kind.several}: name runs of one kind"
            )
