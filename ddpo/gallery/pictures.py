"""Samples that are pictures in files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ddpo.gallery.formatting import escape
from ddpo.gallery.kinds import PICTURES, Kind

# Index files are data: a name that could leave the folder (or hide in it) is not followed.
PLAIN_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


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
