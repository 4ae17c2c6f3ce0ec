"""One prompt with one seed through training, as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from ddpo.gallery.grid import iteration_name, longest, sample_at
from ddpo.gallery.measures import Measure
from ddpo.gallery.run_folder import RunFolder, Sample
from ddpo.gallery.scale import Number
from ddpo.gallery.stills.cells import Cell, cell, cell_size, draw_cell
from ddpo.gallery.stills.colours import light
from ddpo.gallery.stills.lettering import BODY, STRONG, fitted, line_height, wrapped_prompt
from ddpo.gallery.stills.numbers import shown_measures, written
from ddpo.gallery.stills.sheet import Sheet, plain_style, stacked

SIDE = 384
"""Of the largest picture, in pixels; the frame is at least as wide."""
PROMPT_LINES = 3
GAP = 12
MARGIN = 20
TRACK = 4
"""Height of the line that grows, in pixels; less than the gap."""
LONGEST, SLOWEST, FASTEST = 12_000, 700, 40
"""Milliseconds: of all frames but the last, and of a single one."""
LAST = 2_500
"""Milliseconds that the last frame stays."""


@dataclass(frozen=True)
class Frame:
    """What changes between frames; `share` of training is done."""

    iteration: int
    share: Number
    sample: Sample | None
    cell: Cell


def draw_animation(run: RunFolder, row: int) -> list[Image.Image]:
    """Draw a frame for each iteration with samples.

    Args:
        run: one with pictures.
        row: number of the prompt, from 0.
    """
    prompt = longest(run.sample_sets)[row].prompt
    first, last = run.sample_sets[0].iteration, run.sample_sets[-1].iteration
    frames = []
    for group in run.sample_sets:
        sample = sample_at(group, row, prompt)
        share = (group.iteration - first) / max(1, last - first)
        frames.append(Frame(group.iteration, share, sample, cell(sample, SIDE)))
    measured = shown_measures(run.sample_sets)
    colours = light(run.kind)
    with plain_style():
        size = cell_size((frame.cell for frame in frames), SIDE)
        head = _prompt(prompt, colours)
        return [
            stacked([head, _draw(frame, size, measured, colours)], GAP, MARGIN, colours["page"])
            for frame in frames
        ]


def durations(count: int) -> list[int]:
    """How long each of `count` frames is shown, in milliseconds: the last one is held."""
    each = max(FASTEST, min(SLOWEST, LONGEST // count))
    return [each] * (count - 1) + [LAST]


def _prompt(prompt: str, colours: Mapping[str, str]) -> Image.Image:
    lines = wrapped_prompt(prompt, BODY, SIDE, PROMPT_LINES)
    sheet = Sheet(SIDE, len(lines) * line_height(BODY), colours)
    sheet.write(0, 0, lines, BODY)
    return sheet.image()


def _draw(
    frame: Frame, size: tuple[int, int], measured: Sequence[Measure], colours: Mapping[str, str]
) -> Image.Image:
    """The picture, how far training is, and its numbers beside their names."""
    step = line_height(STRONG)
    rows = 1 + len(measured)
    sheet = Sheet(SIDE, size[1] + 2 * GAP + rows * step, colours)
    draw_cell(sheet, ((SIDE - size[0]) // 2, 0), size, frame.cell)
    top = size[1] + GAP
    sheet.box((0, top), (SIDE, TRACK), face="rule")
    sheet.box((0, top), (round(SIDE * frame.share), TRACK), face="muted")
    y = sheet.write(0, top + GAP, iteration_name(frame.iteration), STRONG)
    for measure in measured:
        value = measure.of(frame.sample) if frame.sample else None
        text = written(value, measure.decimals, STRONG, SIDE / 2)
        sheet.write(SIDE, y, text, STRONG, measure.tone, "right")
        y = sheet.write(0, y, fitted(measure.name, BODY, SIDE / 2), BODY, "muted")
    return sheet.image()
