"""Pictures in the size in which they are shown, and the gap where one is missing."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image

from ddpo.gallery.pictures import PictureFile, read_picture
from ddpo.gallery.run_folder import Sample
from ddpo.gallery.stills.lettering import SMALL, fitted, line_height
from ddpo.gallery.stills.sheet import Sheet

Cell = Image.Image | str
"""A picture, or why there is none."""


def cell(sample: Sample | None, side: int) -> Cell:
    """The picture of a sample for a square of `side` pixels."""
    if sample is None:
        return "not there"
    path = sample.content.path if isinstance(sample.content, PictureFile) else None
    image = read_picture(path) if path else None
    return "picture missing" if image is None else fitting(image, side)


def fitting(image: Image.Image, side: int) -> Image.Image:
    """Return `image` for a square of `side` pixels: small ones a whole number of times as large,
    pixel for pixel, large ones made smaller.
    """
    times = side // max(image.size)
    if times:
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    smaller = image.copy()
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
    return smaller


def cell_size(cells: Iterable[Cell], side: int) -> tuple[int, int]:
    """Width and height that hold every picture; a square of `side` pixels if there is none."""
    sizes = [one.size for one in cells if isinstance(one, Image.Image)]
    widths, heights = zip(*sizes, strict=True) if sizes else ([side], [side])
    return max(widths), max(heights)


def draw_cell(sheet: Sheet, corner: tuple[int, int], size: tuple[int, int], shown: Cell) -> None:
    """Draw a picture, or a dashed gap that says why there is none."""
    if isinstance(shown, Image.Image):
        sheet.paste(*corner, shown)
        return
    (x, y), (width, height) = corner, size
    sheet.box((x + 1, y + 1), (width - 2, height - 2), edge="axis")
    middle = y + (height - line_height(SMALL)) / 2
    sheet.write(x + width / 2, middle, fitted(shown, SMALL, width), SMALL, "muted", align="center")
