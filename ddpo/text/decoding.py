"""How a completion is written: which token at each place, and where it ends.

Tokens are drawn by inverting the distribution at one uniform number a row and place, so that a
completion depends on nothing but its own numbers: not on the batch, nor on other processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria
from transformers.generation.stopping_criteria import StoppingCriteriaList

from ddpo.text.token_scores import distribution


@dataclass(frozen=True)
class Decoding:
    """Settings of it.

    Attributes:
        max_length: most tokens.
        min_length: tokens before the end may come.
        temperature: above 0.
        top_k: only the so many likeliest are drawn from; None for all.
        top_p: only the likeliest that make up this share are; None for all.
        stop: texts at which a completion ends.
    """

    max_length: int
    min_length: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completions:
    """What was written.

    Attributes:
        ids: `[B, max_length]`, padded.
        mask: `[B, max_length]` fp32, 1 for what was drawn, the token that ends a text included.
        ended: `[B]`, whether it ended by itself.
    """

    ids: Int[Tensor, "b t"]
    mask: Float[Tensor, "b t"]
    ended: Bool[Tensor, " b"]


@torch.no_grad()
def complete(
    model: Any,
    tokenizer: Any,
    prompt: dict[str, Tensor],
    decoding: Decoding,
    eos_ids: Sequence[int],
    uniforms: Float[Tensor, "b t"] | None,
) -> Completions:
    """Write a completion for each row with `generate` of transformers.

    Args:
        model: causal or sequence-to-sequence.
        tokenizer: its own.
        prompt: `input_ids` and `attention_mask`, padded on the left.
        decoding: settings.
        eos_ids: tokens that end a completion.
        uniforms: numbers in [0, 1), at least `max_length` a row; None to take the likeliest token.
    """
    read = prompt["input_ids"].shape[1]
    first = 1 if model.config.is_encoder_decoder else read
    choice = _Choice(decoding, eos_ids, uniforms, first)
    ending = _Ending(tokenizer, eos_ids, decoding.stop, first)
    with _with_cache(model):
        whole = model.generate(
            **prompt,
            do_sample=False,
            num_beams=1,
            max_new_tokens=decoding.max_length,
            min_new_tokens=None,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
            logits_processor=LogitsProcessorList([choice]),
            stopping_criteria=StoppingCriteriaList([ending]),
            temperature=None,
            top_k=None,
            top_p=None,
        )
    written = whole[:, first:]
    rows, length = written.shape
    ids = written.new_full((rows, decoding.max_length), tokenizer.pad_token_id)
    ids[:, :length] = written
    places = torch.arange(decoding.max_length, device=ids.device)
    mask = places < ending.lengths(rows, length, ids.device)[:, None]
    ids = ids.where(mask, tokenizer.pad_token_id)
    return Completions(ids, mask.float(), ending.ended(rows, ids.device))


@contextmanager
def _with_cache(model: Any) -> Iterator[None]:
    """In training mode a model whose activations are checkpointed drops its cache, silently: each
    token would follow the one before it alone.
    """
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def drawn(scores: Float[Tensor, "b v"], uniforms: Float[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The token of each row at which the cumulative distribution passes the row's number."""
    cumulative = scores.double().softmax(1).cumsum(1)
    at = uniforms[:, None] * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, at, right=True).squeeze(1)
    return token.clamp(max=scores.shape[1] - 1)


def truncated(
    scores: Float[Tensor, "b v"], top_k: int | None, top_p: float | None
) -> Float[Tensor, "b v"]:
    """The same without all but the likeliest tokens: so many, or those that make up such a share,
    the one that reaches it included.
    """
    if top_k is not None and top_k < scores.shape[1]:
        least = scores.topk(top_k, 1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = scores.sort(1, descending=True)
        share = ordered.softmax(1)
        beyond = share.cumsum(1) - share >= top_p
        scores = scores.masked_fill(beyond.scatter(1, order, beyond), -torch.inf)
    return scores


class _Choice(LogitsProcessor):
    """Leaves one token at each place."""

    def __init__(
        self,
        decoding: Decoding,
        eos_ids: Sequence[int],
        uniforms: Tensor | None,
        first: int,
    ):
        self._decoding = decoding
        self._eos_ids = eos_ids
        self._uniforms = uniforms
        self._first = first

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        asked, place = self._decoding, input_ids.shape[1] - self._first
        unending = torch.full_like(scores[:, 0], place < asked.min_length, dtype=torch.bool)
        scores = distribution(scores, unending, self._eos_ids, asked.temperature)
        if self._uniforms is None:
            return scores
        scores = truncated(scores, asked.top_k, asked.top_p)
        token = drawn(scores, self._uniforms[:, place].to(scores.device))
        return torch.full_like(scores, -torch.inf).scatter(1, token[:, None], 0.0)


class _Ending(StoppingCriteria):
    """Knows where each row ended: padding can be the token that ends a text."""

    def __init__(self, tokenizer: Any, eos_ids: Sequence[int], stop: Sequence[str], first: int):
        self._tokenizer = tokenizer
        self._eos_ids = eos_ids
        self._stop = stop
        self._first = first
        self._ended_at: dict[int, int] = {}

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        last = input_ids[:, -1]
        ending = torch.isin(last, last.new_tensor(self._eos_ids)).tolist()
        written = input_ids.shape[1] - self._first
        for row, by_token in enumerate(ending):
            if row in self._ended_at:
                continue
            if by_token or (self._stop and self._stopped(input_ids[row, self._first :])):
                self._ended_at[row] = written
        return last.new_tensor([row in self._ended_at for row in range(len(last))]).bool()

    def lengths(self, rows: int, longest: int, device: torch.device) -> Int[Tensor, " b"]:
        """Tokens of each row, the one that ends it included."""
        found = [self._ended_at.get(row, longest) for row in range(rows)]
        return torch.tensor(found, device=device)

    def ended(self, rows: int, device: torch.device) -> Bool[Tensor, " b"]:
        """Which rows ended by themselves."""
        return torch.tensor([row in self._ended_at for row in range(rows)], device=device)

    def _stopped(self, ids: Tensor) -> bool:
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        return any(word in text for word in self._stop)


def text_of(tokenizer: Any, ids: Int[Tensor, " t"], stop: Sequence[str]) -> str:
    """The text of a completion's tokens, up to the text that ended it."""
    text = tokenizer.decode(ids, skip_special_tokens=True)
    for word in stop:
        text = text.partition(word)[0]
    return text
