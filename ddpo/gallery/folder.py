"""A gallery's folder: what lies where, and which folders may become one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ddpo.errors import UserError

OWN = {"index.html", "gallery.css", "gallery.js", "data", "thumbs", "pictures"}
BESIDE = {"README.md"}
"""What may lie beside them, untouched: a gallery that is committed wants a word of explanation."""
WRITTEN = re.compile(r"(\d+|summary|runs)(\.js)?", re.ASCII)
"""What a gallery writes into its folders: of iterations, of runs, and what says what there is."""


def place(iteration: int, number: int) -> str:
    """Where a sample lies in `thumbs/` and `pictures/`, without suffix.

    Made of numbers alone: no name from a run's files becomes part of a path.
    """
    return f"{set_name(iteration)}/{number:04d}"


def set_name(iteration: int) -> str:
    """What the samples of an iteration are called, here as in the run's `samples/`."""
    return f"{iteration:06d}"


class GalleryFolder:
    """The paths of one gallery, or of one run's part of a gallery of several.

    Attributes:
        part: what begins the names of the run's files in each folder; empty where there is one run.
    """

    def __init__(self, path: Path, part: str = ""):
        """Name the paths; nothing is read or written."""
        self.path = path
        self.part = part
        self.page = path / "index.html"
        self.style = path / "gallery.css"
        self.script = path / "gallery.js"
        self.data = path / "data" / part
        self.thumbs = path / "thumbs" / part
        self.pictures = path / "pictures" / part

    @classmethod
    def told(cls, path: Path) -> GalleryFolder:
        """The gallery in a folder that somebody has named.

        Raises:
            UserError: there is something else in the folder, or it is none.
        """
        _refuse_others(path)
        return cls(path)

    def of_run(self, number: int) -> GalleryFolder:
        """The part of one of several runs: called by its number, never by its name."""
        return GalleryFolder(self.path, f"{number}/")

    def thumb(self, iteration: int, number: int) -> Path:
        """The small copy of a picture."""
        return self.thumbs / f"{place(iteration, number)}.webp"

    def picture(self, iteration: int, number: int) -> Path:
        """A picture as the run wrote it."""
        return self.pictures / f"{place(iteration, number)}.png"

    def data_file(self, name: str) -> Path:
        """A script that registers data: the summary, or the samples of an iteration."""
        return self.data / f"{name}.js"

    def keep_only(self, iterations: Iterable[int]) -> None:
        """Remove what belongs to other iterations, which the run no longer has, or to more runs."""
        self._keep({"summary", *map(set_name, iterations)})

    def keep_runs(self, count: int) -> None:
        """Remove what belongs to runs after the first `count`, or to a gallery of one run."""
        self._keep({"runs", *map(str, range(1, count + 1))})

    def _keep(self, names: set[str]) -> None:
        for parent in (self.data, self.thumbs, self.pictures):
            for found in parent.glob("*"):
                written = WRITTEN.fullmatch(found.name)
                if written and written[1] not in names:
                    shutil.rmtree(found) if found.is_dir() else found.unlink()


def _refuse_others(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"--out: {path} is not a folder: name one, or one that is not there yet")
    names = {found.name for found in path.iterdir() if not found.name.startswith(".")}
    if others := sorted(names - OWN - BESIDE):
        raise UserError(
            f"--out: {path} holds {others[0]}, which is no part of a gallery: name an empty "
            "folder, or one that is not there yet"
        )
