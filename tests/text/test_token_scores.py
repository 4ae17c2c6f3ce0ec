"""Log-probs and entropies in chunks are those of the whole distribution, and so are gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ddpo.text.token_scores import score_tokens

PLACES, WIDTH, ROWS = 7, 5, 11
EOS = (2, 9)
TEMPERATURE = 0.7

Found = tuple[Tensor, Tensor, list[Tensor]]


def parts(dtype: torch.dtype) -> tuple[Tensor, nn.Linear, Tensor, Tensor]:
    """What is scored: hidden states, a head, tokens, and where no text may end."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(PLACES, WIDTH, generator=generator, dtype=torch.float64)
    head = nn.Linear(WIDTH, ROWS)
    for parameter in head.parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = values.to(dtype)
    tokens = torch.tensor([0, 1, 3, 2, 10, 9, 5])
    unending = torch.tensor([True, True, True, False, False, False, False])
    return hidden.to(dtype).requires_grad_(), head, tokens, unending


def plain(dtype: torch.dtype) -> Found:
    """The definition."""
    hidden, head, tokens, unending = parts(dtype)
    logits = head(hidden) / TEMPERATURE
    forbidden = torch.zeros(PLACES, ROWS, dtype=torch.bool)
    forbidden[:, list(EOS)] = unending[:, None]
    log_probs = logits.masked_fill(forbidden, -torch.inf).log_softmax(1)
    terms = torch.where(forbidden, 0.0, log_probs.exp() * log_probs.masked_fill(forbidden, 0.0))
    return differentiated(log_probs[torch.arange(PLACES), tokens], -terms.sum(1), hidden, head)


def chunked(dtype: torch.dtype, chunk: int) -> Found:
    hidden, head, tokens, unending = parts(dtype)
    found = score_tokens(hidden, head, tokens, unending, EOS, temperature=TEMPERATURE, chunk=chunk)
    return differentiated(*found, hidden, head)


def differentiated(log_probs: Tensor, entropy: Tensor, hidden: Tensor, head: nn.Linear) -> Found:
    """Both, and the gradients of their sums with some weights, some of them above 1, as where
    losses are scaled.
    """
    weights = torch.linspace(-1, 2, PLACES, dtype=log_probs.dtype)
    loss = (log_probs * weights + entropy * weights.flip(0)).sum()
    grads = torch.autograd.grad(loss, [hidden, *head.parameters()])
    return log_probs.detach(), entropy.detach(), list(grads)


@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("chunk", [1, 3, PLACES, 1000])
def test_chunks_change_no_number(chunk: int, dtype: torch.dtype, exact: float) -> None:
    own, expected = chunked(dtype, chunk), plain(dtype)
    for one, other in zip((*own[:2], *own[2]), (*expected[:2], *expected[2]), strict=True):
        assert other.norm() > 0
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, atol=exact, rtol=0)


def test_by_hand() -> None:
    """Logits ln 1, ln 2, ln 5 and the end, which may come at the second place only."""
    logits = torch.tensor([1.0, 2.0, 5.0, 8.0]).log().repeat(2, 1)
    log_probs, entropy = score_tokens(
        logits,
        nn.Identity(),
        torch.tensor([1, 3]),
        torch.tensor([True, False]),
        [3],
        temperature=1.0,
        chunk=8,
    )
    assert log_probs.tolist() == pytest.approx([math.log(2 / 8), math.log(8 / 16)], abs=1e-6)
    first = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))
    second = -sum(p * math.log(p) for p in (1 / 16, 2 / 16, 5 / 16, 8 / 16))
    assert entropy.tolist() == pytest.approx([first, second], abs=1e-6)


def test_a_temperature_of_2_takes_roots() -> None:
    logits = torch.tensor([[1.0, 4.0, 25.0]]).log()
    none = torch.tensor([False])
    log_probs, _ = score_tokens(
        logits, nn.Identity(), torch.tensor([2]), none, [0], temperature=2.0, chunk=1
    )
    assert log_probs.tolist() == pytest.approx([math.log(5 / 8)], abs=1e-6)


def test_coarse_states_are_scored_in_fp32() -> None:
    hidden, head, tokens, unending = parts(torch.bfloat16)
    log_probs, entropy = score_tokens(hidden, head, tokens, unending, EOS, temperature=1.0, chunk=3)
    assert log_probs.dtype == entropy.dtype == torch.float32
    logits = head(hidden).float()[3:]
    expected = logits.log_softmax(1)[torch.arange(PLACES - 3), tokens[3:]]
    torch.testing.assert_close(log_probs[3:], expected, atol=1e-6, rtol=0)
