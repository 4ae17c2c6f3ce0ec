"""A reward of letters, with noise from every global random state: a resumed run agrees only if all
are back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch

from rewards import reward


@reward("lettered", modality="text", deterministic=False)
def lettered(texts: Sequence[str], prompts: Sequence[str]) -> list[float]:
    """Share of vowels and angle brackets, and a little noise."""
    noise = [float(torch.rand(1)) + np.random.rand() + random.random() for _ in texts]
    return [vowels(text) + 0.1 * n for text, n in zip(texts, noise, strict=True)]


@reward("vowels", modality="text")
def plainly(texts: Sequence[str], prompts: Sequence[str]) -> list[float]:
    """Share of vowels and angle brackets."""
    return [vowels(text) for text in texts]


def vowels(text: str) -> float:
    """Their share."""
    return sum(letter in "aeiou<" for letter in text) / max(1, len(text))
