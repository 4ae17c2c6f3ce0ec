"""ROUGE of each text against its reference: Lin, 2004, as the package rouge-score computes it."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from rewards.errors import RewardError
from rewards.registry import reward
from rewards.text.references import wordings

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]


@reward("rouge", modality="text", columns=("reference",), range=(0.0, 1.0), cpu_bound=True)
def rouge(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    reference: Sequence[Any],
    kind: Kind = "rougeL",
    use_stemmer: bool = False,
) -> list[float]:
    """ROUGE F-measure, the overlap of a text with its reference in words.

    F = 2·P·R / (P + R), where P and R are the share of the text and of the reference that they have
    in common. With several references, the best. An empty text scores 0, as does every text whose
    reference is empty.

    Words are runs of the letters a to z and of digits, case ignored: all else, such as "é" or
    Chinese, is not seen. `rougeLsum` takes time and memory that grow with the product of the
    lengths of text and reference, where they have no line breaks.

    Args:
        texts: to be scored.
        prompts: not used.
        reference: column, for each text a text or a list of texts.
        kind: what is common: words ("rouge1"), pairs of words ("rouge2"), the longest common
            subsequence of words ("rougeL"), or the union of those of each line ("rougeLsum").
        use_stemmer: compare the stems of English words of more than three letters (Porter, 1980).

    Returns:
        Numbers in [0, 1].

    Raises:
        RewardError: a reference is neither a text nor a list of texts, or has no word that is seen.
    """
    tokenizer = DefaultTokenizer(use_stemmer)
    scorer = RougeScorer([kind], tokenizer=tokenizer)

    def overlap(text: str, wording: str) -> float:
        if kind == "rougeL":
            return _subsequence_f(tokenizer.tokenize(wording), tokenizer.tokenize(text))
        return float(scorer.score(wording, text)[kind].fmeasure)

    return [
        max(overlap(text, _seen(wording)) for wording in wordings(wanted))
        for text, wanted in zip(texts, reference, strict=True)
    ]


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, 64 words at once: Hyyrö, 2004.

    The package fills a table of all pairs in Python: minutes and gigabytes for two long texts.
    """
    places: defaultdict[str, int] = defaultdict(int)
    for place, word in enumerate(first):
        places[word] |= 1 << place
    everywhere = (1 << len(first)) - 1
    row = everywhere  # a zero is a place where the subsequence grows by one
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & everywhere
    return len(first) - row.bit_count()


def _subsequence_f(reference: Sequence[str], text: Sequence[str]) -> float:
    # 2·P·R / (P + R) with P = common / len(text) and R = common / len(reference).
    return 2 * common_subsequence(reference, text) / max(len(reference) + len(text), 1)


def _seen(wording: str) -> str:
    """The wording itself: every text would score 0 against one without a word that is seen."""
    if wording.strip() and not re.search("[a-z0-9]", wording.lower()):
        raise RewardError(
            f"column 'reference' holds {wording!r}, which has no letter a to z and no digit, all "
            "that ROUGE sees; use the reward 'chrf', or 'bleu' with tokenize=char"
        )
    return wording
