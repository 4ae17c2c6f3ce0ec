"""Work that goes on beside the main thread, in order, and never keeps the program from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rewards.timed import leave_behind, thread_state

T = TypeVar("T")
Tasks = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]


class Background:
    """One thread that does what it is given, one after the other."""

    def __init__(self) -> None:
        self._tasks: Tasks = queue.SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._tasks,), daemon=True)
        self._thread.start()

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """The future result of `action`, or its error."""
        future: Future[T] = Future()
        inherit = thread_state()

        def inherited() -> T:
            inherit()
            return action()

        self._tasks.put((future, inherited))
        return future

    def close(self, seconds: float = 10.0) -> None:
        """Drop what has not begun, and wait so long for what has; then it is left behind."""
        while not self._tasks.empty():
            self._tasks.get()[0].cancel()
        self._tasks.put((Future(), _leave))
        self._thread.join(seconds)
        leave_behind(self._thread)


class _Left(BaseException):
    """Ends the thread."""


def _leave() -> None:
    raise _Left


def _work(tasks: Tasks) -> None:
    while True:
        future, action = tasks.get()
        try:
            future.set_result(action())
        except _Left:
            return
        except BaseException as error:  # whoever asks for the result gets it
            future.set_exception(error)
