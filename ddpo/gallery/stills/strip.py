"""Before and after: the base model's pictures above, the newest below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from ddpo.gallery.grid import iteration_name, longest, sample_at
from ddpo.gallery.run_folder import RunFolder
from ddpo.gallery.stills.cells import Cell, cell, cell_size, draw_cell
from ddpo.gallery.stills.colours import light
from ddpo.gallery.stills.lettering import BODY, SMALL, line_height, text_width, wrapped_prompt
from ddpo.gallery.stills.sheet import Sheet, plain_style, stacked

PROMPTS = 5
PROMPT_LINES = 4
SIDE = 192
"""Of the largest picture, in pixels."""
GAP = 12
MARGIN = 24


def draw_strip(run: RunFolder) -> Image.Image:
    """Draw the first prompts of a run that has samples of two iterations at least."""
    ends = (run.sample_sets[0], run.sample_sets[-1])
    prompts = [sample.prompt for sample in longest(ends)[:PROMPTS]]
    rows = [
        [cell(sample_at(group, index, prompt), SIDE) for index, prompt in enumerate(prompts)]
        for group in ends
    ]
    labels = [iteration_name(group.iteration) for group in ends]
    colours = light(run.kind)
    with plain_style():
        drawn = _draw(prompts, labels, rows, colours)
    return stacked([drawn], 0, MARGIN, colours["page"])


def _draw(
    prompts: Sequence[str],
    labels: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    colours: Mapping[str, str],
) -> Image.Image:
    size = cell_size((one for row in rows for one in row), SIDE)
    left = round(max(text_width(label, BODY) for label in labels)) + 2 * GAP
    room = max(size[0], SIDE // 2)
    lines = [wrapped_prompt(prompt, SMALL, room, PROMPT_LINES) for prompt in prompts]
    foot = max(map(len, lines)) * line_height(SMALL)
    tall = size[1] + GAP
    sheet = Sheet(left + len(prompts) * (room + GAP) - GAP, len(rows) * tall + foot, colours)
    for at, (label, row) in enumerate(zip(labels, rows, strict=True)):
        sheet.write(0, at * tall + (size[1] - line_height(BODY)) / 2, label, BODY)
        for column, shown in enumerate(row):
            draw_cell(sheet, (left + column * (room + GAP), at * tall), size, shown)
    for column, text in enumerate(lines):
        sheet.write(left + column * (room + GAP), len(rows) * tall, text, SMALL, "muted")
    return sheet.image()
