"""Prompt sets: by name or from a file, and which of them an iteration draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError

SHAPES_CAPTIONS = 512
"""Size of the `shapes` prompt sets."""

SHAPES_SETS = ("shapes", "shapes-heldout", "shapes-pairs", "shapes-pairs-heldout")
"""All captions, or those of two things; of scenes like those the weights were trained on, or of
others."""


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


def load_prompts(config: PromptsConfig) -> PromptSet:
    """The prompts that a configuration names.

    Raises:
        UserError: an unknown set, or a file that cannot be read or holds no prompt.
    """
    if config.file is not None:
        return _from_file(config.file)
    name = config.set or ""
    if name in SHAPES_SETS:
        return PromptSet(_shapes(name))
    listed = resources.files("ddpo") / "prompt_sets" / f"{name}.txt"
    if not name or Path(name).name != name or not listed.is_file():
        raise UserError(f"prompts.set: unknown set {name!r}; known: {', '.join(set_names())}")
    return PromptSet(_lines(listed.read_text(encoding="utf-8")))


def set_names() -> list[str]:
    """The prompt sets that can be named."""
    folder = resources.files("ddpo") / "prompt_sets"
    files = [
        item.name.removesuffix(".txt") for item in folder.iterdir() if item.name.endswith(".txt")
    ]
    return sorted([*files, *SHAPES_SETS])


def _from_file(path: Path) -> PromptSet:
    """One prompt a line; blank lines and lines that start with # are left out."""
    try:
        texts = _lines(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"prompts.file: {path} cannot be read: {reason}") from error
    if not texts:
        raise UserError(f"prompts.file: {path} holds no prompt; write one a line")
    return PromptSet(texts)


def _lines(text: str) -> list[str]:
    """The prompts in a text."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _shapes(name: str) -> list[str]:
    from ddpo.worlds.shapes.scenes import heldout_captions, training_captions

    captions = heldout_captions if name.endswith("-heldout") else training_captions
    return captions(SHAPES_CAPTIONS, things=2 if "-pairs" in name else None)
