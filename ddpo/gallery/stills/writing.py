"""From a run's folder to a picture in a file: which runs have one, and where it lies."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ddpo.errors import UserError
from ddpo.gallery.grid import iteration_name, longest
from ddpo.gallery.kinds import PICTURES
from ddpo.gallery.run_folder import RunFolder, read_run
from ddpo.gallery.stills.encoding import as_png, as_webp
from ddpo.gallery.whole_file import write_whole


def write_figure(run_folder: Path, out: Path | None = None) -> Path:
    """Write one picture of a run, and return its path: what changed, curves, the first samples.

    It shows what there is of a run that is unfinished, and says what is missing. Of texts it shows
    the base model's completions and the newest.

    Args:
        run_folder: of the run.
        out: a PNG file; by default `gallery.png` in the run's folder, beside the gallery's.

    Raises:
        NotARunError: (a ValueError) `run_folder` is not the folder of a run.
        UserError: `out` is no name of a PNG file, or matplotlib is not installed.
        OSError: there is no room, or no right to write.
    """
    run = read_run(Path(run_folder))
    target = _target(run, out, "gallery.png")
    _need_matplotlib()
    from ddpo.gallery.stills.figure import draw_figure

    write_whole(target, as_png(draw_figure(run)))
    return target


def write_strip(run_folder: Path, out: Path | None = None) -> Path:
    """Write the first prompts' pictures before and after as one PNG file, and return its path.

    Args:
        run_folder: of a run with pictures of two iterations at least.
        out: a PNG file; by default `strip.png` in the run's folder.

    Raises:
        NotARunError: (a ValueError) `run_folder` is not the folder of a run.
        UserError: the run is one of texts, or has samples of fewer iterations; `out` is no name of
            a PNG file; or matplotlib is not installed.
        OSError: there is no room, or no right to write.
    """
    run = _run_of_pictures(run_folder, "--strip")
    target = _target(run, out, "strip.png")
    _need_matplotlib()
    from ddpo.gallery.stills.strip import draw_strip

    write_whole(target, as_png(draw_strip(run)))
    return target


def write_animation(run_folder: Path, out: Path | None = None, row: int = 1) -> Path:
    """Write one prompt's pictures through training as an animated WebP file, and return its path.

    It has a frame for each iteration with samples, holds the last one, and begins again.

    Args:
        run_folder: of a run with pictures of two iterations at least.
        out: a WebP file; by default `animation.webp` in the run's folder.
        row: which prompt, in the order of the gallery; 1 is the first.

    Raises:
        NotARunError: (a ValueError) `run_folder` is not the folder of a run.
        UserError: the run is one of texts, or has samples of fewer iterations, or no such row;
            `out` is no name of a WebP file; or matplotlib is not installed.
        OSError: there is no room, or no right to write.
    """
    run = _run_of_pictures(run_folder, "--animation")
    rows = len(longest(run.sample_sets))
    if not 1 <= row <= rows:
        raise UserError(f"--row: there is no row {row}: name one from 1 to {rows}")
    target = _target(run, out, "animation.webp")
    _need_matplotlib()
    from ddpo.gallery.stills.animation import draw_animation, durations

    frames = draw_animation(run, row - 1)
    write_whole(target, as_webp(frames, durations(len(frames))))
    return target


def _run_of_pictures(run_folder: Path, option: str) -> RunFolder:
    run = read_run(Path(run_folder))
    if run.kind != PICTURES:
        raise UserError(
            f"{option}: {run.path} is a run of texts, and this is made of pictures: "
            "--format png shows completions"
        )
    there = [group for group in run.sample_sets if group.samples]
    if len(there) < 2:
        has = f"those of {iteration_name(there[0].iteration)} alone" if there else "none"
        raise UserError(
            f"{option}: it takes sample pictures of two iterations, and {run.path} has {has}: "
            "train on, or take --format png"
        )
    return run


def _target(run: RunFolder, out: Path | None, name: str) -> Path:
    if out is None:
        return run.path / name
    target, suffix = Path(out), Path(name).suffix
    if target.is_dir():
        raise UserError(f"--out: {target} is a folder: name a file, such as {target / name}")
    if target.suffix.lower() != suffix:
        raise UserError(f"--out: {target} is no {suffix} file: name one, such as {name}")
    return target


def _need_matplotlib() -> None:
    """It draws, and is imported by the modules that do: nobody else waits for it."""
    if find_spec("matplotlib") is None:
        raise UserError(
            "matplotlib, which draws galleries as pictures, is not installed: "
            "pip install 'ddpo[figures]'"
        )
