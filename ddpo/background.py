"""Work that goes on beside the main thread, in order, and never keeps the program from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rewards.timed import thread_state

T = TypeVar("T")
Tasks = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]


class Background:
    """One thread that does what it is given, one after the other."""

    def __init__(self) -> None:
        self._tasks: Tasks = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self._tasks,), daemon=True).start()

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """The future result of `action`, or its error."""
        future: Future[T] = Future()
        inherit = thread_state()

        def inherited() -> T:
            inherit()
            return action()

        self._tasks.put((future, inherited))
        return future


def _work(tasks: Tasks) -> None:
    while True:
        future, action = tasks.get()
        try:
            future.set_result(action())
        except BaseException as error:  # whoever asks for the result gets it
            future.set_exception(error)
