"""Samples that are pictures in files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from ddpo.gallery.formatting import escape
from ddpo.gallery.kinds import PICTURES, Kind

# Index files are data: a name that could leave the folder (or hide in it) is not followed.
PLAIN_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
COMPARED_SIDE = 32
"""Pixels of a side, at which pictures are compared."""


@dataclass(frozen=True)
class PictureFile:
    """A sample that is a picture in a file; None where its name is not to be followed."""

    path: Path | None
    kind: ClassVar[Kind] = PICTURES

    @classmethod
    def named(cls, folder: Path, name: str) -> PictureFile:
        """The picture that an index in `folder` names."""
        return cls(folder / name if PLAIN_FILE_NAME.fullmatch(name) else None)

    @property
    def usable(self) -> bool:
        """See `Content`."""
        return self.path is not None

    def draw(self, description: str, place: str | None) -> str:
        """See `Content`: the small copy, which links to the picture."""
        if place is None:
            return '<div class="absent">picture missing</div>'
        return (
            f'<a href="pictures/{place}.png"><img src="thumbs/{place}.webp" loading="lazy" '
            f'alt="{escape(description)}"></a>'
        )

    @classmethod
    def diversity(cls, contents: Sequence[PictureFile]) -> float | None:
        """See `Content`: the root mean square difference of two pictures' pixels, over all pairs,
        once each picture's mean colour is taken away: empty ones are alike, whatever their colour.

        It is √2 times the standard deviation of a pixel over pictures.
        """
        found = (read_picture(each.path) for each in contents if each.path is not None)
        small = [_small(image) for image in found if image is not None]
        if len(small) < 2:
            return None
        return float(np.sqrt(2 * np.stack(small).var(axis=0, ddof=1).mean()))


def read_picture(path: Path) -> Image.Image | None:
    """The picture in a file; None where there is none, or not a whole one."""
    try:
        # A link could lead out of the run's folder.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with Image.open(path) as image:
            return image.convert("RGB")
    # Pillow raises each of these for damaged files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _small(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image.resize((COMPARED_SIDE, COMPARED_SIDE), Image.Resampling.BOX)) / 255
    return pixels - pixels.mean(axis=(0, 1))
