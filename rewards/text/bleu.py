"""BLEU of each text against its reference: Papineni et al., 2002, as sacrebleu computes it."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from sacrebleu.metrics.bleu import BLEU

from rewards.registry import reward
from rewards.text.references import wordings

# Those of sacrebleu that need no further package and no download.
Tokenizer = Literal["13a", "intl", "zh", "char", "none"]


@reward("bleu", modality="text", columns=("reference",), range=(0.0, 1.0), cpu_bound=True)
def bleu(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    reference: Sequence[Any],
    tokenize: Tokenizer = "13a",
    lowercase: bool = False,
) -> list[float]:
    """Sentence BLEU, the agreement of a text with its reference in n-grams of 1 to 4 words.

    The brevity penalty times the geometric mean of the n-gram precisions, over the orders that the
    text is long enough for ("effective order"), with exponential smoothing (method 3 of Chen and
    Cherry, 2014). With several references, n-grams of any count, and the closest length. It is
    sacrebleu's number divided by 100. An empty text scores 0, as does every text whose reference is
    empty.

    sacrebleu remembers how it split the last 65,536 texts, which long texts make large.

    Args:
        texts: to be scored.
        prompts: not used.
        reference: column, for each text a text or a list of texts.
        tokenize: how words are split: "13a" for languages with spaces, "intl" for more scripts,
            "zh" for Chinese, "char" for characters, "none" at whitespace alone.
        lowercase: let upper and lower case count as equal.

    Returns:
        Numbers in [0, 1].

    Raises:
        RewardError: a reference is neither a text nor a list of texts.
    """
    metric = _metric(tokenize, lowercase)
    scores = [
        metric.sentence_score(text, wordings(wanted)).score
        for text, wanted in zip(texts, reference, strict=True)
    ]
    # A mean of logarithms may end a rounding error above 100.
    return [min(score / 100, 1.0) for score in scores]


@cache
def _metric(tokenize: Tokenizer, lowercase: bool) -> BLEU:
    # One object for all calls: its memory of split texts, and so of references, is its own.
    return BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=True)
