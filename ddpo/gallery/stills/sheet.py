"""A sheet to draw on: in pixels, from its upper left corner, in the colours of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import IdentityTransform
from PIL import Image

from ddpo.gallery.scale import Number
from ddpo.gallery.stills.lettering import DPI, SMALL, line_height

COLUMN_GAP = 40
PIXELS = IdentityTransform()
PIXEL = 72 / DPI
"""A pixel in points, in which matplotlib measures lines."""


def plain_style() -> AbstractContextManager[None]:
    """What matplotlib does whatever the user's settings are; dollar signs are dollar signs."""
    return style.context(["default", {"text.parse_math": False}])


class Sheet:
    """A sheet of `width` by `height` pixels. It is drawn on, then taken as an `image`."""

    def __init__(self, width: int, height: int, colours: Mapping[str, str]):
        """Begin an empty sheet, as light as the page."""
        self.colours = colours
        self.height = height
        self._pictures: list[tuple[int, int, Image.Image]] = []
        # Half a pixel more: inches times dots may fall just short of a whole number.
        inches = ((width + 0.5) / DPI, (height + 0.5) / DPI)
        self._figure = Figure(figsize=inches, dpi=DPI, facecolor=colours["page"])
        self._canvas = FigureCanvasAgg(self._figure)

    def write(
        self,
        x: Number,
        y: Number,
        lines: str | Sequence[str],
        letters: FontProperties,
        colour: str = "text",
        align: str = "left",
    ) -> Number:
        """Write drawable lines, and return where the next one would begin.

        Args:
            x: of their beginning, or of what `align` says.
            y: upper end of the first line.
            lines: one or several.
            letters: the font.
            colour: its name in the style sheet.
            align: "left", "center" or "right".
        """
        step = line_height(letters)
        for line in [lines] if isinstance(lines, str) else lines:
            y += step
            self._figure.text(
                x,
                # Letters stand on a line that is a quarter of the step above its end.
                self.height - y + 0.27 * step,
                line,
                transform=PIXELS,
                font_properties=letters,
                color=self.colours[colour],
                horizontalalignment=align,
                verticalalignment="baseline",
                parse_math=False,
            )
        return y

    def rule(
        self, start: tuple[Number, Number], end: tuple[Number, Number], colour: str, width: int
    ) -> None:
        """Draw a straight line, `width` pixels wide."""
        xs = [start[0], end[0]]
        ys = [self.height - start[1], self.height - end[1]]
        line = Line2D(xs, ys, transform=PIXELS, color=self.colours[colour], linewidth=width * PIXEL)
        line.set_solid_capstyle("butt")
        self._figure.add_artist(line)

    def box(
        self,
        corner: tuple[Number, Number],
        size: tuple[Number, Number],
        face: str | None = None,
        edge: str | None = None,
    ) -> None:
        """Draw a rectangle, filled, or with a dashed edge."""
        x, y = corner
        self._figure.add_artist(
            Rectangle(
                (x, self.height - y - size[1]),
                *size,
                transform=PIXELS,
                facecolor=self.colours[face] if face else "none",
                edgecolor=self.colours[edge] if edge else "none",
                linewidth=2 * PIXEL,
                linestyle=(0, (4, 3)),
            )
        )

    def axes(self, corner: tuple[Number, Number], size: tuple[Number, Number]) -> Axes:
        """Axes whose frame of data has this place and size."""
        full = self._figure.bbox
        bottom = self.height - corner[1] - size[1]
        place = (corner[0] / full.width, bottom / full.height)
        return self._figure.add_axes((*place, size[0] / full.width, size[1] / full.height))

    def legend(self, corner: tuple[Number, Number], handles: Sequence[Artist]) -> None:
        """The meaning of signs, in one line."""
        self._figure.legend(
            handles=list(handles),
            ncols=len(handles),
            loc="upper left",
            bbox_to_anchor=(corner[0], self.height - corner[1]),
            bbox_transform=PIXELS,
            borderaxespad=0,
            borderpad=0,
            frameon=False,
            prop=SMALL,
            labelcolor=self.colours["muted"],
        )

    def paste(self, x: int, y: int, picture: Image.Image) -> None:
        """Lay a picture on the sheet, pixel for pixel."""
        self._pictures.append((x, y, picture))

    def image(self) -> Image.Image:
        """The sheet as it is now."""
        self._canvas.draw()
        image = Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3])
        for x, y, picture in self._pictures:
            image.paste(picture, (x, y))
        return image


def in_columns(count: int, width: int) -> tuple[int, int]:
    """How many of `count` things stand side by side, and from one to the next, in pixels."""
    columns = 2 if count in (1, 2, 4) else 3
    return columns, (width + COLUMN_GAP) // columns


def stacked(parts: Sequence[Image.Image], gap: int, margin: int, background: str) -> Image.Image:
    """Lay images below each other on one sheet.

    Args:
        parts: at least one.
        gap: between them, in pixels.
        margin: around all of them.
        background: colour of what they leave free.
    """
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)
    width = max(part.width for part in parts)
    whole = Image.new("RGB", (width + 2 * margin, height + 2 * margin), background)
    y = margin
    for part in parts:
        whole.paste(part, (margin, y))
        y += part.height + gap
    return whole
