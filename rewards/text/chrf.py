"""chrF of each text against its reference: Popović, 2015 and 2017, as sacrebleu computes it."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from sacrebleu.metrics.chrf import CHRF

from rewards.registry import reward
from rewards.text.references import wordings


@reward("chrf", modality="text", columns=("reference",), range=(0.0, 1.0), cpu_bound=True)
def chrf(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    reference: Sequence[Any],
    char_order: Annotated[int, Field(ge=1)] = 6,
    word_order: Annotated[int, Field(ge=0)] = 0,
    beta: Annotated[int, Field(ge=1)] = 2,
) -> list[float]:
    """chrF, the agreement of a text with its reference in n-grams of characters.

    F = (1 + β²)·P·R / (β²·P + R), where P and R are precision and recall of the n-grams, each a
    mean over the orders for which both texts are long enough. Whitespace does not count. With
    several references, the best. It is sacrebleu's number divided by 100. An empty text scores 0,
    as does every text whose reference is empty.

    Args:
        texts: to be scored.
        prompts: not used.
        reference: column, for each text a text or a list of texts.
        char_order: characters in the longest n-gram.
        word_order: words in the longest n-gram of words, counted as well; 2 is chrF++.
        beta: β, how many times more recall counts than precision.

    Returns:
        Numbers in [0, 1].

    Raises:
        RewardError: a reference is neither a text nor a list of texts.
    """
    metric = CHRF(char_order=char_order, word_order=word_order, beta=beta)
    return [
        min(metric.sentence_score(text, wordings(wanted)).score / 100, 1.0)
        for text, wanted in zip(texts, reference, strict=True)
    ]
