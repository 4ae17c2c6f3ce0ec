"""Log-probs and entropy of tokens, a chunk at a time: the distribution over the vocabulary, which
is what takes memory, is never there for all tokens, and is made again in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Head = Callable[[Tensor], Tensor]


def score_tokens(
    hidden: Float[Tensor, "n d"],
    head: Head,
    tokens: Int[Tensor, " n"],
    unending: Bool[Tensor, " n"],
    eos_ids: Sequence[int],
    *,
    temperature: float,
    chunk: int,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Log π(token) and the entropy −Σ π log π of its place, in nats, fp32.

    π = softmax(logits/temperature), over the tokens that do not end a text where it may not end.

    Args:
        hidden: what the head reads at each place.
        head: from these to logits over the vocabulary.
        tokens: which one was sampled there.
        unending: where no text may end.
        eos_ids: tokens that end one.
        temperature: above 0.
        chunk: places whose logits are in memory at a time; changes no number.
    """

    def scored(part: Tensor, token: Tensor, never: Tensor) -> tuple[Tensor, Tensor]:
        logits = distribution(head(part), never, eos_ids, temperature)
        normaliser = logits.logsumexp(1)
        log_prob = logits.gather(1, token[:, None]).squeeze(1) - normaliser
        entropy = normaliser - (logits.softmax(1) * logits).sum(1)
        return log_prob, entropy

    parts = zip(hidden.split(chunk), tokens.split(chunk), unending.split(chunk), strict=True)
    if torch.is_grad_enabled():
        found = [checkpoint(scored, *part, use_reentrant=False) for part in parts]
    else:
        found = [scored(*part) for part in parts]
    log_probs, entropies = zip(*found, strict=True)  # pyright: ignore[reportArgumentType]
    return torch.cat(log_probs), torch.cat(entropies)


def distribution(
    logits: Float[Tensor, "n v"],
    unending: Bool[Tensor, " n"],
    eos_ids: Sequence[int],
    temperature: float,
) -> Float[Tensor, "n v"]:
    """Unnormalised log-probs of the policy at each place, fp32 or better: what is sampled from,
    and what is trained.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    lowest = -math.sqrt(torch.finfo(logits.dtype).max)  # 0 times −∞, or what overflows, is not 0
    forbidden = torch.zeros_like(logits, dtype=torch.bool)
    forbidden[:, list(eos_ids)] = unending[:, None]
    return logits.masked_fill(forbidden, lowest)
