"""The numbers beneath a sample: its reward, and what is only watched."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.font_manager import FontProperties

from ddpo.gallery.formatting import MINUS, number
from ddpo.gallery.measures import Measure, measures
from ddpo.gallery.run_folder import Sample, SampleSet
from ddpo.gallery.scale import Number
from ddpo.gallery.stills.lettering import STRONG_SMALL, fitted, text_width
from ddpo.gallery.stills.sheet import Sheet


def shown_measures(sets: Sequence[SampleSet]) -> list[Measure]:
    """The total, or the first reward where there is none, then the first watch reward."""
    found = measures(sets)
    optimised = [measure for measure in found if measure.section != "watch"]
    watched = [measure for measure in found if measure.section == "watch"]
    return optimised[:1] + watched[:1]


def explained(measured: Sequence[Measure], what: str) -> str:
    """Say which numbers stand beneath a sample, which is called `what`."""
    if not measured:
        return "Each row is one prompt with one seed."
    watched = [f"{each.name}, which is only watched" for each in measured if each.tone == "watch"]
    names = " and ".join([each.name for each in measured if each.tone != "watch"] + watched)
    return f"Each row is one prompt with one seed. Beneath each {what}: {names}."


def written(value: Number | None, decimals: int, letters: FontProperties, room: Number) -> str:
    """Write `value` as the page does, or with an exponent where that does not fit."""
    text = number(value, decimals)
    if value is not None and text_width(text, letters) > room:
        text = f"{value:.2g}".replace("-", MINUS)
    return fitted(text, letters, room)


def write_numbers(
    sheet: Sheet,
    corner: tuple[Number, Number],
    room: Number,
    sample: Sample,
    shown: Sequence[Measure],
) -> None:
    """Write the numbers of a sample from left to right, in the colour of what they are."""
    share = room / max(1, len(shown))
    for place, measure in enumerate(shown):
        value = measure.of(sample)
        last = 0 < place == len(shown) - 1
        sheet.write(
            corner[0] + (room if last else place * share),
            corner[1],
            written(value, measure.decimals, STRONG_SMALL, share),
            STRONG_SMALL,
            measure.tone,
            align="right" if last else "left",
        )
