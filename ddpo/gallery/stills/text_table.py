"""The first prompts of a run with the completions before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.font_manager import FontProperties
from PIL import Image

from ddpo.gallery.grid import heading, longest, sample_at
from ddpo.gallery.measures import Measure
from ddpo.gallery.run_folder import RunFolder, Sample, SampleSet
from ddpo.gallery.scale import Number
from ddpo.gallery.stills.lettering import (
    BODY,
    EQUAL,
    SMALL,
    fitted,
    line_height,
    text_width,
    wrapped,
    wrapped_prompt,
)
from ddpo.gallery.stills.numbers import explained, shown_measures, write_numbers
from ddpo.gallery.stills.sheet import Sheet, stacked
from ddpo.gallery.texts import Completion

ROWS = 4
LINES = 6
"""Of a prompt or a completion."""
REFERENCE_LINES = 3
MOST_INDENTED = 24
PROMPT = 400
GAP = 40
PADDING = 14
NUMBERS = 4
"""From a completion to its numbers."""


@dataclass(frozen=True)
class Layout:
    """Where what stands, in pixels, and the numbers beneath a completion."""

    width: int
    room: int
    measures: Sequence[Measure]
    colours: Mapping[str, str]

    def left(self, column: int) -> int:
        """Where a column of completions begins."""
        return PROMPT + GAP + column * (self.room + GAP)


@dataclass(frozen=True)
class Passage:
    """Lines in one font and tone."""

    lines: Sequence[str]
    letters: FontProperties
    tone: str

    @property
    def height(self) -> int:
        """In pixels."""
        return len(self.lines) * line_height(self.letters)


def text_table(run: RunFolder, width: int, colours: Mapping[str, str]) -> Image.Image | None:
    """Draw the first rows, of the first and the newest samples; None where there are none.

    Args:
        run: which.
        width: in pixels.
        colours: of the page, by name.
    """
    sets = run.sample_sets[:1] + run.sample_sets[1:][-1:]
    first = longest(sets)[:ROWS]
    if not first:
        return None
    room = (width - PROMPT) // len(sets) - GAP
    layout = Layout(width, room, shown_measures(run.sample_sets), colours)
    parts = [_head(run, sets, layout)]
    for index, sample in enumerate(first):
        completions = [sample_at(group, index, sample.prompt) for group in sets]
        parts.append(_row(sample, completions, layout))
    return stacked(parts, PADDING, 0, colours["page"])


def _head(run: RunFolder, sets: Sequence[SampleSet], layout: Layout) -> Image.Image:
    """What the numbers are, and the name of each column."""
    sheet = Sheet(layout.width, 2 * line_height(SMALL) + PADDING, layout.colours)
    told = fitted(explained(layout.measures, run.kind.shown), SMALL, layout.width)
    y = sheet.write(0, 0, told, SMALL, "muted") + PADDING
    for column, group in enumerate(sets):
        name = fitted(heading(group.iteration, run), SMALL, layout.room)
        sheet.write(layout.left(column), y, name, SMALL, "muted")
    return sheet.image()


def _row(first: Sample, samples: Sequence[Sample | None], layout: Layout) -> Image.Image:
    asked = _asked(first)
    answers = [_completion(sample, layout.room) for sample in samples]
    answered = max(answer.height for answer in answers) + NUMBERS + line_height(SMALL)
    height = max(sum(passage.height for passage in asked), answered)
    sheet = Sheet(layout.width, PADDING + height, layout.colours)
    sheet.rule((0, 0), (layout.width, 0), "rule", 2)
    y: Number = PADDING
    for passage in asked:
        y = sheet.write(0, y, passage.lines, passage.letters, passage.tone)
    for column, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        x = layout.left(column)
        y = sheet.write(x, PADDING, answer.lines, answer.letters, answer.tone)
        if sample is not None:
            write_numbers(sheet, (x, y + NUMBERS), layout.room / 3, sample, layout.measures)
    return sheet.image()


def _asked(sample: Sample) -> list[Passage]:
    """The prompt, and what its completions are compared with."""
    prompt = wrapped_prompt(sample.prompt, BODY, PROMPT, LINES)
    if sample.reference is None:
        return [Passage(prompt, BODY, "text")]
    reference = wrapped(f"reference: {sample.reference}", SMALL, PROMPT, REFERENCE_LINES)
    return [Passage(prompt, BODY, "text"), Passage(reference, SMALL, "muted")]


def _completion(sample: Sample | None, room: int) -> Passage:
    if sample is None:
        return Passage(["not there"], SMALL, "muted")
    text = sample.content.text if isinstance(sample.content, Completion) else ""
    if not text.strip():
        return Passage(["(empty)"], SMALL, "muted")
    if "\n" not in text.strip("\n"):
        return Passage(wrapped(text, BODY, room, LINES), BODY, "text")
    return Passage(_several(text.strip("\n").split("\n"), room), EQUAL, "text")


def _several(lines: Sequence[str], room: int) -> list[str]:
    """Lines with their indentation, as of a program."""
    shown = lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
    return [_indented(line, room) for line in shown]


def _indented(line: str, room: int) -> str:
    indent = " " * min(MOST_INDENTED, len(line) - len(line.lstrip()))
    return indent + fitted(line.strip(), EQUAL, room - text_width(indent, EQUAL))
