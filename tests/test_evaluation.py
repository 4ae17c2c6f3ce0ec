"""Which prompts are held out, and how many samples of each."""

from __future__ import annotations

from collections import Counter

import pytest

from ddpo.evaluation import heldout_rows


def test_rows_by_hand() -> None:
    assert heldout_rows(3, 2, 1) == [(0, 0), (1, 0)]
    assert heldout_rows(3, 4, 1) == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert heldout_rows(3, 4, 2) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert heldout_rows(3, 2, 8) == [(0, 0), (0, 1)]


@pytest.mark.parametrize(
    ("prompts", "count", "group", "drawn"),
    [(40, 16, 8, 2), (40, 20, 8, 2), (1, 16, 8, 1), (2, 32, 8, 2), (40, 7, 8, 1), (40, 16, 1, 16)],
)
def test_a_prompt_has_a_whole_group_where_there_are_enough_samples(
    prompts: int, count: int, group: int, drawn: int
) -> None:
    rows = heldout_rows(prompts, count, group)
    assert len(set(rows)) == count
    assert {prompt for prompt, _ in rows} == set(range(drawn))
    assert min(Counter(prompt for prompt, _ in rows).values()) >= min(count, group)
