"""Prompts as the network knows them, each encoded when it is first asked for.

Each is encoded alone: in a batch, rounding would depend on who else is in it, and so on when a run
was resumed. For the same reason it does not matter which are remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpo.diffusion.family import Conditioning, Family
from ddpo.diffusion.offloading import CPU

KEPT_PROMPTS = 512
"""Remembered at most: 512 tokens of T5 in fp32 are 8 MB a prompt. Where an iteration has more, what
was forgotten is encoded again in every pass."""


class Conditioner:
    """A family's conditioning by prompt, remembered: on the CPU if the family is offloaded. What
    was used longest ago is forgotten.
    """

    def __init__(self, family: Family):
        """Remember what `family` encodes."""
        self._family = family
        self._by_prompt: dict[str, Conditioning] = {}
        self._unconditional: Conditioning | None = None

    def of(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Conditioning of each prompt, `[B, ...]`."""
        missing = [p for p in dict.fromkeys(prompts) if p not in self._by_prompt]
        if missing:
            with self._family.in_use(self._family.text_encoders):
                for prompt in missing:
                    self._by_prompt[prompt] = self._kept(self._family.embed([prompt]))
        for prompt in dict.fromkeys(prompts):  # moved to the end, as used last
            self._by_prompt[prompt] = self._by_prompt.pop(prompt)
        rows = [self._by_prompt[prompt] for prompt in prompts]
        for prompt in list(self._by_prompt)[:-KEPT_PROMPTS]:
            del self._by_prompt[prompt]
        device = self._family.device
        return {name: torch.cat([row[name] for row in rows]).to(device) for name in rows[0]}

    def both_branches(self, prompts: Sequence[str], without: int) -> dict[str, Tensor]:
        """Conditioning without a prompt, so many times, and then of each, `[without + B, ...]`."""
        if self._unconditional is None:
            with self._family.in_use(self._family.text_encoders):
                self._unconditional = self._family.unconditional()
        none = self._unconditional
        return {
            name: torch.cat([none[name].expand(without, *values.shape[1:]), values])
            for name, values in self.of(prompts).items()
        }

    def _kept(self, conditioning: Conditioning) -> Conditioning:
        """Where it waits for the next pass: T5's of a long prompt are megabytes."""
        if not self._family.offloaded:
            return conditioning
        return {name: values.to(CPU) for name, values in conditioning.items()}
