"""Whether a text is what it should be, letter for letter or with differences forgiven."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from rewards.registry import reward
from rewards.text.references import wordings


@reward("exact_match", modality="text", columns=("reference",), range=(0.0, 1.0))
def exact_match(
    texts: Sequence[str],
    prompts: Sequence[str],
    *,
    reference: Sequence[Any],
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_spacing: bool = False,
) -> list[float]:
    """1 where a text equals its reference, or one of several, and 0 elsewhere.

    Texts that Unicode calls canonically equivalent are equal: "é" may be one code point or two.

    Args:
        texts: to be scored.
        prompts: not used.
        reference: column, for each text a text or a list of texts.
        ignore_case: let upper and lower case count as equal.
        ignore_punctuation: leave out what Unicode calls punctuation. That takes the hyphen from
            "-5" and the point from "3.5"; signs such as + and $ stay.
        ignore_spacing: let any run of whitespace count as one space, and as none at the ends.

    Returns:
        0 or 1 for each text.

    Raises:
        RewardError: a reference is neither a text nor a list of texts.
    """

    def normalised(text: str) -> str:
        if ignore_case:
            text = text.casefold()
        text = unicodedata.normalize("NFC", text)
        if ignore_punctuation:
            text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        # Last, for what is left out may have stood between two spaces.
        return " ".join(text.split()) if ignore_spacing else text

    return [
        float(normalised(text) in map(normalised, wordings(wanted)))
        for text, wanted in zip(texts, reference, strict=True)
    ]
