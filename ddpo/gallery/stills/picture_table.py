"""The first prompts of a run as rows of pictures, an iteration a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from ddpo.gallery.grid import heading, longest, sample_at, shown_sets
from ddpo.gallery.measures import Measure
from ddpo.gallery.run_folder import RunFolder, Sample, SampleSet
from ddpo.gallery.stills.cells import Cell, cell, cell_size, draw_cell
from ddpo.gallery.stills.lettering import BODY, SMALL, fitted, line_height, wrapped_prompt
from ddpo.gallery.stills.numbers import explained, shown_measures, write_numbers
from ddpo.gallery.stills.sheet import Sheet, stacked

ROWS = 4
GAP = 16
NUMBERS = 4
"""From a picture to its numbers."""
PROMPT, WIDEST_PROMPT = 250, 480
SIDE = 256
"""Of the largest picture, in pixels."""


@dataclass(frozen=True)
class Row:
    """A prompt, and its samples and pictures by iteration."""

    prompt: str
    samples: Sequence[Sample | None]
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Layout:
    """Where what stands, in pixels, and the numbers beneath a picture."""

    width: int
    prompt: int
    size: tuple[int, int]
    measures: Sequence[Measure]
    colours: Mapping[str, str]

    def left(self, column: int) -> int:
        """Where a column begins."""
        return self.prompt + GAP + column * (self.size[0] + GAP)


def picture_table(run: RunFolder, width: int, colours: Mapping[str, str]) -> Image.Image | None:
    """Draw the first rows; None where there are no samples.

    Args:
        run: which.
        width: in pixels.
        colours: of the page, by name.
    """
    sets = shown_sets(run.sample_sets)
    first = longest(sets)[:ROWS]
    if not first:
        return None
    side = min(SIDE, (width - PROMPT) // len(sets) - GAP)
    rows = [_read(sets, index, sample.prompt, side) for index, sample in enumerate(first)]
    size = cell_size((one for row in rows for one in row.cells), side)
    prompt = min(WIDEST_PROMPT, width - len(sets) * (size[0] + GAP))
    layout = Layout(width, prompt, size, shown_measures(run.sample_sets), colours)
    parts = [_head(run, sets, layout), *(_row(row, layout) for row in rows)]
    return stacked(parts, GAP, 0, colours["page"])


def _read(sets: Sequence[SampleSet], index: int, prompt: str, side: int) -> Row:
    samples = [sample_at(group, index, prompt) for group in sets]
    return Row(prompt, samples, [cell(sample, side) for sample in samples])


def _head(run: RunFolder, sets: Sequence[SampleSet], layout: Layout) -> Image.Image:
    """What the numbers are, and the name of each column."""
    step = line_height(SMALL)
    sheet = Sheet(layout.width, 2 * step + GAP, layout.colours)
    told = fitted(explained(layout.measures, run.kind.shown), SMALL, layout.width)
    y = sheet.write(0, 0, told, SMALL, "muted") + GAP
    for column, group in enumerate(sets):
        name = fitted(heading(group.iteration, run), SMALL, layout.size[0])
        sheet.write(layout.left(column), y, name, SMALL, "muted")
    return sheet.image()


def _row(row: Row, layout: Layout) -> Image.Image:
    width, height = layout.size
    sheet = Sheet(layout.width, height + NUMBERS + line_height(SMALL), layout.colours)
    most = max(1, height // line_height(BODY))
    lines = wrapped_prompt(row.prompt, BODY, layout.prompt - GAP, most)
    sheet.write(0, 0, lines, BODY)
    for column, (sample, shown) in enumerate(zip(row.samples, row.cells, strict=True)):
        x = layout.left(column)
        draw_cell(sheet, (x, 0), layout.size, shown)
        if sample is not None:
            write_numbers(sheet, (x, height + NUMBERS), width, sample, layout.measures)
    return sheet.image()
