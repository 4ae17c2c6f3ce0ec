"""Which token is drawn from a distribution, and from how much of it: by hand, and by count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpo.text.decoding import drawn, truncated

SHARES = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
NEVER = -torch.inf
GONE = -(float(np.finfo(np.float32).max) ** 0.5)
"""What takes the place of a token that may not come."""


def of(uniforms: Tensor, scores: Tensor | None = None) -> list[int]:
    """The tokens that these numbers draw from one distribution."""
    scores = SHARES.log() if scores is None else scores
    return drawn(scores.expand(len(uniforms), -1), uniforms).tolist()


def test_a_token_is_drawn_where_the_cumulative_distribution_passes_the_number() -> None:
    numbers = torch.tensor(
        [0.0, 0.4999, 0.5001, 0.7999, 0.8001, 0.9499, 0.9501], dtype=torch.float64
    )
    assert of(numbers) == [0, 0, 1, 1, 2, 2, 3]


def test_tokens_come_as_often_as_the_distribution_says() -> None:
    """At evenly spaced numbers to the last one; at random ones within four standard deviations."""
    count = 4000
    even = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert torch.bincount(torch.tensor(of(even))).tolist() == [2000, 1200, 600, 200]
    random = torch.from_numpy(np.random.default_rng(0).random(count))
    found = torch.bincount(torch.tensor(of(random))) / count
    deviation = (SHARES * (1 - SHARES) / count).sqrt()
    assert ((found - SHARES).abs() < 4 * deviation).all()


@pytest.mark.parametrize("gone", [NEVER, GONE])
@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-53])
def test_what_may_not_come_never_does(gone: float, number: float) -> None:
    """Not even at the ends."""
    scores = torch.tensor([gone, 0.1, 0.2, gone])
    assert of(torch.tensor([number], dtype=torch.float64), scores) == [1 if number == 0 else 2]


@pytest.mark.parametrize(
    ("top_k", "top_p", "left"),
    [
        (None, None, [0, 1, 2, 3]),
        (1, None, [0]),
        (3, None, [0, 1, 2]),
        (9, None, [0, 1, 2, 3]),
        (None, 1e-9, [0]),
        (None, 0.45, [0]),
        (None, 0.55, [0, 1]),  # the one that reaches the share is included
        (None, 0.81, [0, 1, 2]),
        (None, 0.96, [0, 1, 2, 3]),
        (None, 1.0, [0, 1, 2, 3]),
        (2, 0.81, [0, 1]),
        (3, 0.6, [0, 1]),  # of what top_k left, as in transformers: 0.526 and 0.316
    ],
)
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_likeliest_tokens_by_hand(
    top_k: int | None, top_p: float | None, left: list[int], order: list[int]
) -> None:
    scores = SHARES.log()[order][None]
    kept = truncated(scores, top_k, top_p)
    assert torch.equal(kept.isfinite(), torch.tensor([[token in left for token in order]]))
    assert torch.equal(kept[kept.isfinite()], scores[kept.isfinite()])
