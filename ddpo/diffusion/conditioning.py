"""Prompts as the network knows them, each encoded once in the life of a policy.

Each is encoded alone: in a batch, rounding would depend on who else is in it, and so on when a run
was resumed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpo.diffusion.family import Conditioning, Family


class Conditioner:
    """A family's conditioning by prompt, remembered."""

    def __init__(self, family: Family):
        """Remember what `family` encodes."""
        self._family = family
        self._by_prompt: dict[str, Conditioning] = {}
        self._unconditional: Conditioning | None = None

    def of(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Conditioning of each prompt, `[B, ...]`."""
        for prompt in prompts:
            if prompt not in self._by_prompt:
                self._by_prompt[prompt] = self._family.embed([prompt])
        rows = [self._by_prompt[prompt] for prompt in prompts]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def both_branches(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Conditioning without a prompt, B times, and then with each, `[2B, ...]`."""
        if self._unconditional is None:
            self._unconditional = self._family.unconditional()
        without = self._unconditional
        return {
            name: torch.cat([without[name].expand_as(values), values])
            for name, values in self.of(prompts).items()
        }
