"""Prompts with their dataset columns, and which of them an iteration draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PromptSet:
    """Prompts with their dataset columns; a prompt's index in `texts` identifies it.

    Attributes:
        texts: the prompts, at least one.
        columns: per column, one value a prompt.
    """

    texts: list[str]
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many prompts there are."""
        return len(self.texts)

    def draw(self, count: int, *, position: int, seed: int) -> list[int]:
        """Indices of `count` prompts, from the place `position` of an endless shuffled order.

        Every prompt is drawn once before any is drawn again; the order depends on nothing but the
        seed.
        """
        first, last = position // len(self), (position + count) // len(self)
        epochs = [
            np.random.default_rng((seed, epoch)).permutation(len(self))
            for epoch in range(first, last + 1)
        ]
        start = position - first * len(self)
        return np.concatenate(epochs)[start : start + count].tolist()

    def rows(self, indices: list[int]) -> tuple[list[str], dict[str, list[Any]]]:
        """The texts and columns of some prompts."""
        columns = {name: [values[i] for i in indices] for name, values in self.columns.items()}
        return [self.texts[i] for i in indices], columns
