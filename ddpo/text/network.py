"""What is trained of the token chain: a language model, and its critic if there is one, behind one
forward pass.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpo.text.token_scores import score_tokens


@final
class TokenNetwork(nn.Module):
    """From prompts and completions to log-probs, entropies and values of the completions' tokens.

    Attributes:
        model: causal or sequence-to-sequence, of transformers.
        critic_model: what the critic reads, where that is not the model; without its head.
        value_head: from its last layer to a value, 0 at first; None without a critic.
    """

    def __init__(
        self,
        model: Any,
        eos_ids: Sequence[int],
        *,
        temperature: float,
        min_length: int,
        chunk: int,
        critic_model: Any = None,
        has_critic: bool = False,
    ):
        """Wrap a model.

        Args:
            model: see `model`.
            eos_ids: tokens that end a completion.
            temperature: of the policy.
            min_length: places of a completion at which it may not end.
            chunk: tokens whose distribution is in memory at a time.
            critic_model: see `critic_model`.
            has_critic: whether there is a head for values.
        """
        super().__init__()
        self.model = model
        self.critic_model = critic_model
        self.value_head = None
        if has_critic:
            width = model.get_output_embeddings().weight.shape[1]
            self.value_head = nn.Linear(width, 1)
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)
        self._eos_ids = tuple(eos_ids)
        self._temperature = temperature
        self._min_length = min_length
        self._chunk = chunk
        accepted = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in accepted and not self._encodes
        self._takes_kept = "logits_to_keep" in accepted and not self._encodes

    @property
    def _encodes(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    def forward(
        self,
        prompt_ids: Int[Tensor, "b p"],
        prompt_mask: Int[Tensor, "b p"],
        completion_ids: Int[Tensor, "b t"],
        completion_mask: Float[Tensor, "b t"],
        with_values: bool = True,
    ) -> dict[str, Float[Tensor, "b t"]]:
        """`log_probs` and `entropy` of each token, and its `values` if there is a critic; 0 where
        masked.
        """
        counted = completion_mask > 0
        read = (prompt_ids, prompt_mask, completion_ids, completion_mask)
        hidden = self._hidden(self.model, *read)
        head = self.model.get_output_embeddings()
        places = torch.arange(counted.shape[1], device=counted.device).expand_as(counted)
        log_probs, entropy = score_tokens(
            hidden[counted],
            head,
            completion_ids[counted],
            places[counted] < self._min_length,
            self._eos_ids,
            temperature=self._temperature,
            chunk=self._chunk,
        )
        found = {"log_probs": log_probs, "entropy": entropy}
        if self.value_head is not None and with_values:
            if self.critic_model is not None:
                hidden = self._hidden(self.critic_model, *read)
            seen = hidden[counted].to(self.value_head.weight.dtype)
            found["values"] = self.value_head(seen).squeeze(1)
        return {name: _spread(values, counted) for name, values in found.items()}

    def _hidden(
        self,
        model: Any,
        prompt_ids: Tensor,
        prompt_mask: Tensor,
        completion_ids: Tensor,
        completion_mask: Tensor,
    ) -> Float[Tensor, "b t d"]:
        """What the head would read at the place before each token."""
        before = completion_ids[:, :-1]
        if self._encodes:
            start = torch.full_like(completion_ids[:, :1], model.config.decoder_start_token_id)
            inputs: Mapping[str, Any] = {
                "input_ids": prompt_ids,
                "attention_mask": prompt_mask,
                "decoder_input_ids": torch.cat([start, before], 1),
            }
        else:
            mask = torch.cat([prompt_mask, completion_mask[:, :-1].to(prompt_mask)], 1)
            inputs = {"input_ids": torch.cat([prompt_ids, before], 1), "attention_mask": mask}
            if self._takes_positions:  # what is padded counts no place
                inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
            if self._takes_kept:
                inputs["logits_to_keep"] = completion_ids.shape[1]
        with headless(model):
            hidden = model(**inputs, use_cache=False).logits
        return hidden[:, -completion_ids.shape[1] :]


@contextmanager
def headless(model: Any) -> Iterator[None]:
    """Inside, what a model calls logits is what its head would read."""
    head = model.get_output_embeddings()
    model.set_output_embeddings(nn.Identity())
    try:
        yield
    finally:
        model.set_output_embeddings(head)


def head_alone_makes_logits(model: Any) -> bool:
    """Whether a model's logits are its head's output and nothing else is done to them, as by
    capping.
    """
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    with torch.no_grad():
        expected = model(**inputs).logits
        try:
            with headless(model):
                hidden = model(**inputs).logits
            made = model.get_output_embeddings()(hidden)
        except RuntimeError:  # shapes: something of the vocabulary's size is added
            return False
    return made.shape == expected.shape and torch.allclose(made, expected, rtol=1e-3, atol=1e-3)


def _spread(values: Float[Tensor, " n"], counted: Tensor) -> Float[Tensor, "b t"]:
    """Values of the places that count, at their places, 0 elsewhere."""
    whole = torch.zeros(counted.shape, dtype=values.dtype, device=values.device)
    return whole.masked_scatter(counted, values)
