"""Work beside the main thread."""

from __future__ import annotations

import asyncio

import pytest
import torch

from ddpo.background import Background


def test_results_come_in_order_and_errors_to_whoever_asks() -> None:
    background = Background()

    def broken() -> None:
        raise asyncio.CancelledError  # no Exception, and yet it must not end the thread

    futures = [
        background.submit(lambda: 1),
        background.submit(broken),
        background.submit(lambda: 3),
    ]
    assert (futures[0].result(10), futures[2].result(10)) == (1, 3)
    with pytest.raises(asyncio.CancelledError):
        futures[1].result(10)


def test_gradients_are_as_they_were_where_the_work_was_given() -> None:
    with torch.no_grad():
        assert Background().submit(torch.is_grad_enabled).result(10) is False
