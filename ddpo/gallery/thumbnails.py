"""Small copies of pictures, and the pictures themselves beside them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from loky import ProcessPoolExecutor, cpu_count
from PIL import Image

from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.pictures import PictureFile
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.whole_file import replacing

# Up to this side a picture is kept pixel for pixel, and enlarged by the browser.
EXACT_SIDE = 128
THUMBNAIL_SIDE = 256
FEW = 500
"""Up to this many pictures are made sooner than processes start."""
BATCH = 100
"""Pictures that a process takes at a time."""


class Job(NamedTuple):
    """A picture of the run, and the two files that the gallery has of it."""

    source: Path
    thumb: Path
    picture: Path


def make_thumbnails(run: RunFolder, gallery: GalleryFolder) -> frozenset[tuple[int, int]]:
    """Write what the gallery lacks of the run's pictures.

    Returns:
        (iteration, number) of the samples whose picture is missing or damaged.
    """
    found = {
        (group.iteration, number): sample.content.path
        for group in run.sample_sets
        for number, sample in enumerate(group.samples)
        if isinstance(sample.content, PictureFile)
    }
    jobs = {
        at: Job(source, gallery.thumb(*at), gallery.picture(*at))
        for at, source in found.items()
        if source is not None
    }
    for folder in {path.parent for job in jobs.values() for path in (job.thumb, job.picture)}:
        folder.mkdir(parents=True, exist_ok=True)
    lacking = {at: job for at, job in jobs.items() if not _is_made(job)}
    made = dict(zip(lacking, _make_all(list(lacking.values())), strict=True))
    return frozenset(at for at in found if at not in jobs or not made.get(at, True))


def picture_size(gallery: GalleryFolder, run: RunFolder) -> tuple[int, int] | None:
    """Width and height, in pixels, of a picture of the run; None where there is none."""
    for group in run.sample_sets:
        for number in range(len(group.samples)):
            if gallery.thumb(group.iteration, number).is_file():
                with Image.open(gallery.thumb(group.iteration, number)) as image:
                    return image.size
    return None


def read_picture(path: Path) -> Image.Image | None:
    """The picture; None where there is none, or not a whole one."""
    try:
        # A link could lead out of the run's folder.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with Image.open(path) as image:
            return image.convert("RGB")
    # Pillow raises each of these for damaged files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _make_all(jobs: Sequence[Job]) -> list[bool]:
    if len(jobs) <= FEW:
        return _make_each(jobs)
    # Not forked, since training may hold a device; without the main module, which may be a script
    # that trains.
    batches = [jobs[at : at + BATCH] for at in range(0, len(jobs), BATCH)]
    with ProcessPoolExecutor(max_workers=min(cpu_count(), len(batches))) as pool:
        return list(chain.from_iterable(pool.map(_make_each, batches)))


def _make_each(jobs: Sequence[Job]) -> list[bool]:
    return [_make(job) for job in jobs]


def _make(job: Job) -> bool:
    """Whether there is a whole picture, of which both files are there now."""
    image = read_picture(job.source)
    if image is None:
        return False
    _write_thumbnail(image, job)
    _write_picture(job)
    return True


def _is_made(job: Job) -> bool:
    """Whether both files are there, as recent as the run's: a small copy bears its time."""
    try:
        source, thumb, picture = (os.stat(path) for path in job)
    except OSError:
        return False
    times = {source.st_mtime_ns, thumb.st_mtime_ns, picture.st_mtime_ns}
    return len(times) == 1 and thumb.st_size > 0 and picture.st_size == source.st_size


def _write_thumbnail(image: Image.Image, job: Job) -> None:
    exact = max(image.size) <= EXACT_SIDE
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
    with replacing(job.thumb) as aside:
        # The fastest method: files are a fifth larger, and made in half the time.
        image.save(aside, "WEBP", lossless=exact, quality=30 if exact else 80, method=0)
        written = os.stat(job.source).st_mtime_ns
        os.utime(aside, ns=(written, written))


def _write_picture(job: Job) -> None:
    with replacing(job.picture) as aside:
        try:
            os.link(job.source, aside)
        except OSError:  # another file system, or one without links
            shutil.copy2(job.source, aside)
