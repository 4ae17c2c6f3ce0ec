"""From the folders of several runs to one gallery's: what is written, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddpo.gallery.comparison.page import render, style
from ddpo.gallery.comparison.rows import AlignedRow, aligned, same_base
from ddpo.gallery.comparison.runs import NumberedRun, numbered, read_runs
from ddpo.gallery.data import register, write_data
from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.writing import write_page

RUNS = "runs"


def write_comparison(run_folders: Sequence[Path], out: Path) -> Path:
    """Write a gallery that shows several runs side by side, or what is new in it.

    Each run has a part of the folders, which is called by its number. As `write_gallery` otherwise.

    Args:
        run_folders: of from two to eight runs of one kind, in the order in which they are shown.
        out: folder of the gallery.

    Returns:
        The path of its `index.html`.

    Raises:
        NotARunError: (a ValueError) one of `run_folders` is not the folder of a run.
        UserError: the runs cannot stand side by side, or `out` is a file, or holds something else.
        OSError: there is no room, or no right to write.
    """
    found = read_runs([Path(folder) for folder in run_folders])
    gallery = GalleryFolder.told(Path(out))
    runs = numbered(found, gallery)
    for run in runs:
        write_data(run.run, gallery.of_run(run.number), run.shown.missing)
    rows = aligned(found)
    base_once = same_base(runs, rows, gallery)
    register(gallery, RUNS, runs_data(runs, rows, base_once))
    write_page(gallery, style(found[0].kind), render(runs, rows, base_once))
    _keep_only(runs, gallery)
    return gallery.page


def runs_data(
    runs: Sequence[NumberedRun], rows: Sequence[AlignedRow], base_once: bool
) -> dict[str, object]:
    """What the script shows of the runs together: a row is an index into `prompts`, then the
    numbers of the samples, a run each.
    """
    prompts: dict[tuple[str, str | None], int] = {}
    return {
        "titles": [run.title for run in runs],
        "baseOnce": base_once,
        "rows": [
            [prompts.setdefault((row.prompt, row.reference), len(prompts)), *row.numbers]
            for row in rows
        ],
        "prompts": [list(prompt) for prompt in prompts],
    }


def _keep_only(runs: Sequence[NumberedRun], gallery: GalleryFolder) -> None:
    for run in runs:
        part = gallery.of_run(run.number)
        part.keep_only(group.iteration for group in run.run.sample_sets)
    gallery.keep_runs(len(runs))
