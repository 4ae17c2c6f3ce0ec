"""Noise is addressed by counters: never by who else is in the batch, and never twice the same."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from ddpo.randomness import EVALUATION, RowGenerator

ROWS = ((0, 0), (0, 1), (3, 0), (7, 2), (1, 0))
SHAPE = (4, 3, 5)


def generator(**changed: Any) -> RowGenerator:
    return replace(RowGenerator(seed=11, iteration=1, rows=ROWS), **changed)


def test_a_row_draws_the_same_in_any_batch() -> None:
    together = generator().normal(2, SHAPE)
    assert together.shape == (5, *SHAPE)
    assert together.dtype == torch.float32
    alone = [generator(rows=(row,)).normal(2, SHAPE)[0] for row in ROWS]
    assert torch.equal(together, torch.stack(alone))
    backwards = generator(rows=ROWS[::-1]).normal(2, SHAPE)
    assert torch.equal(together, backwards.flip(0))


@pytest.mark.parametrize("rows", [slice(0, 2), slice(2, None), slice(1, 100), slice(None, None, 2)])
def test_slices_draw_bit_for_bit_the_same(rows: slice) -> None:
    assert torch.equal(generator()[rows].normal(4, SHAPE), generator().normal(4, SHAPE)[rows])
    assert torch.equal(generator()[rows].uniform(4), generator().uniform(4)[rows])
    assert generator()[rows].rows == ROWS[rows]


def test_nothing_advances() -> None:
    one = generator()
    first = one.normal(3, SHAPE)
    one.normal(4, SHAPE)
    one.uniform(3)
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(one.normal(3, SHAPE), first)


def test_every_counter_changes_the_noise() -> None:
    others = [
        generator(seed=12),
        generator(iteration=2),
        generator(iteration=EVALUATION),
        generator(rows=tuple((prompt + 1, sample) for prompt, sample in ROWS)),
        generator(rows=tuple((prompt, sample + 1) for prompt, sample in ROWS)),
    ]
    draws = [generator().normal(0, (64,)), generator().normal(1, (64,))]
    draws += [other.normal(0, (64,)) for other in others]
    for one, other in combinations(draws, 2):
        for row in range(len(ROWS)):  # nor is one the other, shifted
            assert not torch.isin(one[row], other[row]).any()
    uniforms = [generator().uniform(0), generator().uniform(1)]
    uniforms += [other.uniform(0) for other in others]
    assert len(torch.cat(uniforms).unique()) > 5 * len(uniforms) - 5  # ROWS shifted share a few


def test_counters_are_not_interchangeable() -> None:
    # were they added or hashed together carelessly, (1, 0) at step 0 would be (0, 1) or step 1
    draws = [
        generator(rows=((prompt, sample),), iteration=iteration).normal(step, (4,))
        for iteration in range(3)
        for prompt in range(3)
        for sample in range(3)
        for step in range(3)
    ]
    assert len(torch.cat(draws).flatten().unique()) == 81 * 4


def test_the_largest_seed_is_allowed() -> None:
    assert generator(seed=2**63 - 1).normal(0, (2,)).isfinite().all()


def test_noise_is_standard_normal_and_independent() -> None:
    rows = tuple((prompt, sample) for prompt in range(4) for sample in range(4))
    drawn = generator(rows=rows).normal(0, (64, 64)).flatten(1).double()
    count = drawn.numel()
    assert drawn.mean().item() == pytest.approx(0, abs=4 / math.sqrt(count))
    assert drawn.std().item() == pytest.approx(1, abs=4 / math.sqrt(2 * count))
    assert drawn.pow(4).mean().item() == pytest.approx(3, abs=4 * math.sqrt(96 / count))
    correlations = torch.corrcoef(
        torch.cat([drawn, generator(rows=rows).normal(1, (64, 64)).flatten(1)])
    )
    off_diagonal = correlations - torch.eye(32)
    assert off_diagonal.abs().max().item() < 5 / math.sqrt(64 * 64)


def test_uniform_numbers_fill_the_unit_interval() -> None:
    drawn = generator(rows=tuple((prompt, 0) for prompt in range(2000))).uniform(3)
    assert drawn.shape == (2000,)
    assert drawn.dtype == torch.float32
    assert drawn.min().item() >= 0
    assert drawn.max().item() < 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 2000))
    counts = torch.histc(drawn, bins=10, min=0, max=1)
    assert counts.min().item() > 140
