"""Work beside the main thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

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


def test_what_has_not_begun_is_dropped_and_what_has_is_waited_for() -> None:
    background, begun, done = Background(), threading.Event(), []

    def slow() -> None:
        begun.set()
        time.sleep(0.3)
        done.append(1)

    running, waiting = background.submit(slow), background.submit(lambda: done.append(2))
    assert begun.wait(10)
    background.close()
    assert (done, running.done(), waiting.cancelled()) == ([1], True, True)


def test_a_program_that_ends_while_torch_works_beside_it_keeps_its_exit_code() -> None:
    code = (
        "import sys, torch; from ddpo.background import Background; b = Background();"
        "x = torch.rand(500, 500); work = lambda: [x @ x for _ in range(100)];"
        "[b.submit(work) for _ in range(9)];"
        "b.close(); sys.exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3
