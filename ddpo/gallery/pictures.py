"""Pictures embedded in the page, so that it can be moved and mailed as one file."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PIL import Image

from ddpo.gallery.formatting import escape
from ddpo.gallery.kinds import PICTURES, Kind

# Index files are data: a name that could leave the folder (or hide in it) is not followed.
PLAIN_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
# Up to this side a picture is embedded pixel for pixel, and enlarged by the browser.
EXACT_SIDE = 128
THUMBNAIL_SIDE = 256


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

    def draw(self, description: str, run: Path) -> str:
        """See `Content`: embedded; where that is a smaller copy, it links to the file."""
        picture = embed(self.path) if self.path else None
        if picture is None or self.path is None:
            return '<div class="absent">picture missing</div>'
        image = _tag(picture, description)
        if not picture.is_thumbnail:
            return image
        target = escape(f"../{self.path.relative_to(run).as_posix()}")
        return f'<a href="{target}">{image}</a>'


@dataclass(frozen=True)
class Picture:
    """An embedded picture: its data URI, its size in pixels, and whether it is a smaller copy."""

    uri: str
    width: int
    height: int
    is_thumbnail: bool


def embed(path: Path) -> Picture | None:
    """Embed a small PNG byte for byte, anything larger as a WebP of at most 256 pixels a side.

    Returns None when the file is missing or is not a whole picture.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format == "PNG" and max(image.size) <= EXACT_SIDE:
                return Picture(_data_uri("image/png", content), *image.size, is_thumbnail=False)
            return _thumbnail(image)
    except (OSError, SyntaxError, ValueError):  # Pillow raises each of these for damaged files.
        return None


def _tag(picture: Picture, description: str) -> str:
    kind = "" if picture.is_thumbnail else ' class="pixels"'
    return (
        f'<img{kind} src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(description)}">'
    )


def _thumbnail(image: Image.Image) -> Picture:
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=85)
    uri = _data_uri("image/webp", encoded.getvalue())
    return Picture(uri, *small.size, is_thumbnail=True)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
