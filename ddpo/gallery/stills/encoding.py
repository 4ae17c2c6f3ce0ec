"""Images as the bytes of a file."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

LARGE = 1_000_000
"""Bytes from which on an animation is encoded with loss."""


def as_png(image: Image.Image) -> bytes:
    """A PNG file."""
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def as_webp(frames: Sequence[Image.Image], durations: Sequence[int]) -> bytes:
    """An animated WebP file that begins again when it ends: pixel for pixel, unless that is large.

    Args:
        frames: of equal size.
        durations: how long each is shown, in milliseconds.
    """
    exact = _animated(frames, durations, lossless=True)
    return exact if len(exact) < LARGE else _animated(frames, durations, lossless=False)


def _animated(frames: Sequence[Image.Image], durations: Sequence[int], lossless: bool) -> bytes:
    file = BytesIO()
    frames[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=list(durations),
        loop=0,
        lossless=lossless,
        quality=85,
    )
    return file.getvalue()
