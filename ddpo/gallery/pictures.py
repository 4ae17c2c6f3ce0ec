"""Pictures embedded in the page, so that it can be moved and mailed as one file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

# Up to this side a picture is embedded pixel for pixel, and enlarged by the browser.
EXACT_SIDE = 128
THUMBNAIL_SIDE = 256


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


def _thumbnail(image: Image.Image) -> Picture:
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=85)
    uri = _data_uri("image/webp", encoded.getvalue())
    return Picture(uri, *small.size, is_thumbnail=True)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
