"""A run that goes on, watched: when it has written something, so is its gallery."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.writing import write_gallery
from ddpo.starts import FILE as STARTS
from rewards.files import INDEX


@dataclass(frozen=True)
class Edition:
    """A gallery as it was after one of the times it was written.

    Attributes:
        gallery: where it lies.
        version: a word that no other edition has, not even one of another server.
        data: names of the data files, each with a stamp that changes with its content.
    """

    gallery: GalleryFolder
    version: str
    data: Mapping[str, str]


class Watch:
    """A run's folder, looked at now and then, and the newest edition of its gallery."""

    def __init__(self, run: Path, out: Path | None = None):
        """Look at nothing yet.

        Args:
            run: folder of the run.
            out: folder of the gallery; by default `gallery` in that of the run.
        """
        self.run = run
        self.edition: Edition | None = None
        self.problem = ""
        """Why what the run has since written is not in it; empty where it is."""
        self._out = out
        self._seen: tuple[tuple[Path, str], ...] = ()
        self._series = secrets.token_hex(4)
        self._count = 0

    def look(self) -> None:
        """Write the gallery again, and count an edition, if the run has changed since.

        Raises:
            NotARunError: there is no run, or none any more.
            UserError: the gallery's folder is none, or holds something else.
            OSError: there is no room, or no right to write.
        """
        # Before it is read: what is written meanwhile is seen the next time.
        seen = tuple(_traces(self.run))
        if seen and seen == self._seen:
            return
        folder = write_gallery(self.run, self._out).parent
        self._count += 1
        version = f"{self._series}-{self._count}"
        self.edition = Edition(GalleryFolder(folder), version, _stamps(folder / "data"))
        self._seen = seen


def stamp(status: os.stat_result) -> str:
    """A word that changes with the content of a file."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _traces(run: Path) -> Iterator[tuple[Path, str]]:
    """The files of a run by which its gallery changes, each with its stamp."""
    files = [run / name for name in ("config.yaml", "metrics.jsonl", STARTS)]
    for path in [*files, *sorted(run.glob(f"samples/*/{INDEX}"))]:
        try:
            yield path, stamp(path.stat())
        except FileNotFoundError:
            continue


def _stamps(data: Path) -> dict[str, str]:
    return {path.stem: stamp(path.stat()) for path in data.glob("*.js")}
