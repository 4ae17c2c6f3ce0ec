"""Texts for a check."""

from itertools import cycle, islice

from rewards.testing.samples import ODD_TEXTS

TEXTS = (
    "A red circle lies on a gray table.",
    "The star is large, red, and at the left of everything else.",
    "circle circle circle",
    "Left of the small blue square there is one red circle.",
    "a red star",
    "Two shapes: 1 circle, 1 square!",
)


def ordinary(count: int) -> list[str]:
    """See `Samples`; they repeat when more are asked for than there are."""
    return list(islice(cycle(TEXTS), count))


def odd() -> dict[str, list[str]]:
    """See `Samples`."""
    return {what: [text] for what, text in ODD_TEXTS.items()}
