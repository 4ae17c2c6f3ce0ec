"""How little a text repeats itself: distinct-n of Li et al., 2016 ("A Diversity-Promoting Objective
Function for Neural Conversation Models"), for each text alone.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rewards.registry import reward
from rewards.text.units import Unit, parts


@reward("repetition", modality="text", range=(0.0, 1.0), direction="lower")
def repetition(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    n: Annotated[int, Field(ge=1)] = 2,
    unit: Unit = "words",
) -> list[float]:
    """Repetition of n-grams within a text; the reward is the share of n-grams that are distinct.

    distinct n-grams / n-grams: 1 without repetition, near 0 for one n-gram over and over. A text
    shorter than n repeats nothing and scores 1, so this reward alone favours short texts: use it
    beside `length` or another one.

    Args:
        texts: to be scored.
        prompts: not used.
        n: words, or characters, in an n-gram.
        unit: words, or characters (`rewards.text.units`); case and punctuation count.

    Returns:
        Numbers in (0, 1].
    """
    return [_distinct(parts(text, unit), n) for text in texts]


def _distinct(sequence: Sequence[str], n: int) -> float:
    ngrams = list(zip(*(sequence[start:] for start in range(n)), strict=False))
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0
