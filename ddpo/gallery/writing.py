"""From a run's folder to a gallery's: what is written, in which order."""

from __future__ import annotations

from pathlib import Path

from ddpo.gallery.data import write_data
from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.page import render, script, style
from ddpo.gallery.run_folder import read_run
from ddpo.gallery.thumbnails import make_thumbnails
from ddpo.gallery.whole_file import write_whole


def write_gallery(run_folder: Path, out: Path | None = None) -> Path:
    """Write a gallery of a run, or what is new in it, and return the path of its `index.html`.

    The folder needs no network and no server. It shows what there is of a run that is unfinished,
    and says what is missing.

    Args:
        run_folder: of the run.
        out: folder of the gallery; by default `gallery` in that of the run.

    Raises:
        NotARunError: (a ValueError) `run_folder` is not the folder of a run.
        UserError: `out` is a file, or holds something else.
        OSError: there is no room, or no right to write.
    """
    run = read_run(Path(run_folder))
    gallery = GalleryFolder.told(Path(out)) if out else GalleryFolder(run.path / "gallery")
    # The page comes last, and nothing that an older one shows goes before: whenever this is
    # stopped, what is there opens.
    missing = make_thumbnails(run, gallery)
    write_data(run, gallery, missing)
    write_page(gallery, style(run.kind), render(run, missing))
    gallery.keep_only(group.iteration for group in run.sample_sets)
    return gallery.page


def write_page(gallery: GalleryFolder, style: str, page: str) -> None:
    """Write what the page needs beside data and samples, then the page."""
    write_whole(gallery.style, style.encode())
    write_whole(gallery.script, script().encode())
    # JSON can hold lone surrogates, which no encoding can; they become question marks.
    write_whole(gallery.page, page.encode("utf-8", errors="replace"))
