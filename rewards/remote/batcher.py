"""Requests of many clients, scored together: one worker thread for each reward.

Samples are merged only where that cannot change a number: of the same size and type, and never for
a reward that looks at its whole group.
"""

import logging
import threading
from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from rewards.modality import text
from rewards.scoring import Batch, Failure, Reward, Scored

logger = logging.getLogger(__name__)


class Full(Exception):
    """As many requests wait as may wait."""


@dataclass(frozen=True, eq=False)
class _Job:
    batch: Batch
    future: "Future[Scored]" = field(default_factory=Future)

    @property
    def kind(self) -> Hashable:
        """Jobs of one kind can be scored in one batch."""
        if self.batch.modality is text:
            return "text"
        return tuple(self.batch.samples.shape[1:]), self.batch.samples.dtype


class Batcher:
    """A reward, and the requests that wait for it. Safe to use from several threads.

    Args:
        reward: is called from one thread only.
        max_batch: requests are merged up to this many samples; one that is larger comes alone.
        max_waiting: requests.
        device: where images are scored.
    """

    def __init__(self, reward: Reward, *, max_batch: int, max_waiting: int, device: str) -> None:
        self.reward = reward
        self.max_batch = max_batch
        self.max_waiting = max_waiting
        self.device = device
        self.counts = {"requests": 0, "samples": 0, "failed": 0, "batches": 0}
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether its worker is there."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the worker."""
        name = f"reward {self.reward.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the worker after the batch in hand; requests that still wait are cancelled."""
        with self._changed:
            self._stopped = True
            for job in self._waiting:
                job.future.cancel()
            self._waiting.clear()
            self._changed.notify()

    def submit(self, batch: Batch) -> "Future[Scored]":
        """What will hold the rewards of a batch; cancel it to give the batch up.

        Raises:
            Full: too many requests wait.
        """
        job = _Job(batch)
        with self._changed:
            if len(self._waiting) >= self.max_waiting:
                self._waiting = deque(job for job in self._waiting if not job.future.cancelled())
            if self._stopped or len(self._waiting) >= self.max_waiting:
                raise Full
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def _run(self) -> None:
        while not self._stopped:
            jobs = [job for job in self._take() if job.future.set_running_or_notify_cancel()]
            if jobs:
                self._score(jobs)

    def _take(self) -> list[_Job]:
        """The request that waits longest, with those that fit into its batch."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            taken: list[_Job] = []
            left: deque[_Job] = deque()
            for job in self._waiting:
                (taken if self._fits(job, taken) else left).append(job)
            self._waiting = left
            return taken

    def _fits(self, job: _Job, taken: list[_Job]) -> bool:
        if not taken:
            return True
        size = sum(len(other.batch) for other in taken) + len(job.batch)
        alone = self.reward.definition.group
        return not alone and size <= self.max_batch and job.kind == taken[0].kind

    def _score(self, jobs: list[_Job]) -> None:
        merged = _merge([job.batch for job in jobs], self.device)
        try:
            scored = self.reward.score(merged.samples, merged.prompts, merged.columns)
        # Whatever it is, it is an answer to these requests, and the worker lives on.
        except Exception as error:
            self._blame(jobs, error)
            return
        self.counts["batches"] += 1
        start = 0
        for job in jobs:
            self._answer(job, _part(scored, start, len(job.batch)))
            start += len(job.batch)

    def _blame(self, jobs: list[_Job], error: Exception) -> None:
        """A merged batch failed as a whole: each request has its own failure, or none."""
        if len(jobs) == 1:
            self.counts["failed"] += len(jobs[0].batch)
            logger.error("reward '%s' failed: %s", self.reward.name, error)
            jobs[0].future.set_exception(error)
            return
        for job in jobs:
            self._score([job])

    def _answer(self, job: _Job, scored: Scored) -> None:
        self.counts["requests"] += 1
        self.counts["samples"] += len(job.batch)
        self.counts["failed"] += len(scored.failures)
        job.future.set_result(scored)


def _merge(batches: list[Batch], device: str) -> Batch:
    first = batches[0]
    return Batch(
        _join([batch.samples for batch in batches], first, device),
        [prompt for batch in batches for prompt in batch.prompts],
        {name: [v for batch in batches for v in batch.columns[name]] for name in first.columns},
        first.modality,
    )


def _join(parts: list[Any], first: Batch, device: str) -> Any:
    if first.modality is text:
        return list(chain.from_iterable(parts))
    # Texts are scored without a tensor library.
    import torch

    return torch.cat(parts).to(device)


def _part(scored: Scored, start: int, size: int) -> Scored:
    """The rewards of one request, with its own row numbers."""
    rows = range(start, start + size)
    failures = (
        Failure(failure.reward, failure.row - start, failure.prompt, failure.reason)
        for failure in scored.failures
        if failure.row in rows
    )
    details = {row - start: detail for row, detail in scored.details.items() if row in rows}
    return Scored(scored.values[start : start + size], tuple(failures), details)
