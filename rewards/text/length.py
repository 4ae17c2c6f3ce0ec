"""How near a text is to a wanted length."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rewards.registry import reward
from rewards.text.units import Unit, parts


@reward("length", modality="text", range=(0.0, 1.0))
def length(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    target: Annotated[int, Field(ge=0)],
    tolerance: Annotated[int, Field(ge=0)] = 0,
    unit: Unit = "words",
) -> list[float]:
    """Closeness of the length of a text to a target: 1 within the tolerance, less beyond it.

    max(0, 1 − excess / fall), where excess = max(0, |length − target| − tolerance) and
    fall = max(1, target − tolerance): an empty text scores 0, unless it is within the tolerance,
    and so does one that is as much too long.

    Args:
        texts: to be scored.
        prompts: not used.
        target: wanted length.
        tolerance: how far from it still counts as right.
        unit: of the three lengths: words, or characters (`rewards.text.units`).

    Returns:
        Numbers in [0, 1].
    """
    fall = max(1, target - tolerance)
    excesses = (max(0, abs(len(parts(text, unit)) - target) - tolerance) for text in texts)
    return [max(0.0, 1 - excess / fall) for excess in excesses]
