"""How well a text compresses, which is how much it repeats itself."""

import zlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rewards.registry import reward

# One byte becomes nine: zlib adds six bytes of its own, and three to hold it.
LOWEST = -8.0


@reward("text_compressibility", modality="text", range=(LOWEST, 1.0))
def text_compressibility(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    level: Annotated[int, Field(ge=1, le=9)] = 9,
) -> list[float]:
    """The share of a text's bytes that zlib saves: texts that repeat themselves score high.

    1 − compressed / raw, in bytes of UTF-8. Above 0 the text shrinks; below 0 it grows, as short
    texts do, because zlib adds six bytes of its own: one letter over and over saves nothing below
    12 of them. Repetitions are found within 32 kB. An empty text, which has no ratio, scores the
    lowest value, −8, as one letter does.

    Args:
        texts: to be scored.
        prompts: not used.
        level: effort of zlib, from 1 (fast) to 9 (small).

    Returns:
        Numbers in [−8, 1).
    """
    # A text may hold half of a surrogate pair, which strict UTF-8 refuses.
    return [_saved(text.encode("utf-8", "surrogatepass"), level) for text in texts]


def _saved(raw: bytes, level: int) -> float:
    return 1 - len(zlib.compress(raw, level)) / len(raw) if raw else LOWEST
