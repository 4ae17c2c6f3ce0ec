"""Prompts as token ids, each read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpo.errors import UserError
from ddpo.text.loading import LanguageModel


class PromptBatches:
    """Token ids of prompts, padded on the left."""

    def __init__(self, language: LanguageModel, max_length: int):
        """Read with the model's tokenizer; so many tokens of a completion are to fit beside."""
        self._language = language
        self._max_length = max_length
        self._known: dict[str, list[int]] = {}

    def check(self, prompts: Sequence[str], key: str) -> None:
        """Refuse prompts that do not fit.

        Args:
            prompts: any.
            key: of the configuration, for messages.

        Raises:
            UserError: one has no token, or more than the model can read.
        """
        limit, name = self._language.context, self._language.name
        for prompt in prompts:
            length = len(self._ids(prompt))
            shown = f"{prompt[:60]!r}{' …' if len(prompt) > 60 else ''}"
            if length == 0:
                raise UserError(f"{key}: the prompt {shown} has no token for {name} to begin from")
            room = 0 if self._language.is_encoder_decoder else self._max_length
            if limit is not None and length + room > limit:
                beside = f" and {room} of a completion (policy.max_length)" if room else ""
                raise UserError(
                    f"{key}: the prompt {shown} has {length} tokens; with them{beside} the context "
                    f"of {name}, {limit}, is exceeded: shorten it, or take a smaller "
                    f"policy.max_length"
                )

    def of(self, prompts: Sequence[str], device: torch.device) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` `[B, P]`, P that of the longest."""
        ids = [self._ids(prompt) for prompt in prompts]
        longest = max(map(len, ids))
        pad = self._language.tokenizer.pad_token_id
        padded = [[pad] * (longest - len(row)) + row for row in ids]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in ids]
        return {
            "input_ids": torch.tensor(padded, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    def _ids(self, prompt: str) -> list[int]:
        if prompt not in self._known:
            self._known[prompt] = list(self._language.tokenizer(prompt).input_ids)
        return self._known[prompt]
