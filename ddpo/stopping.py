"""SIGTERM and SIGINT: asked once, a run stops where its state is saved; asked again, at once."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator

from ddpo.distributed import largest

SAME_REQUEST_SECONDS = 2.0
"""A launcher repeats the terminal's Ctrl-C to its children: signals this close together are one
request.
"""


class StopRequest:
    """A context in which the two signals set a flag that all processes agree on."""

    def __init__(self, accelerator: Accelerator):
        """Handle nothing yet."""
        self._accelerator = accelerator
        self._signal = 0
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        """Take over both signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        """Give both back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def agreed(self) -> int:
        """The signal that any process has received, the same on all of them; 0 if none. A
        collective.
        """
        flag = torch.tensor([self._signal], device=self._accelerator.device)
        return int(largest(self._accelerator, flag))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal and now - self._since > SAME_REQUEST_SECONDS:
            os._exit(128 + number)
        if not self._signal:
            self._signal, self._since = number, now
