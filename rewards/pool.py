"""A reward spread over processes: for those that compute in Python, on one core at a time."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from pickle import PicklingError
from typing import Any

from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

from rewards.around import Around
from rewards.errors import RewardError, one_line
from rewards.explained import renumbered
from rewards.modality import modality_of
from rewards.scoring import Batch, Failure, Reward, Scored
from rewards.timed import out_of_time

PARTS_PER_WORKER = 2
"""Parts of a batch for each worker, so that an uneven one keeps nobody waiting for long."""
IDLE = 60.0
"""Seconds after which workers without work end."""

_reward: Reward | None = None  # of a worker process


class Pooled(Around):
    """A reward with copies of it in `workers` processes. Only for rewards that score each sample
    alone.

    Args:
        reward: is sent to the workers once; it must be picklable.
        workers: processes.
        seconds: limit for a batch; workers that are too slow are ended, and others started.
    """

    def __init__(self, reward: Reward, workers: int, seconds: float | None = None) -> None:
        super().__init__(reward)
        self._made = reward
        self.workers = workers
        self.seconds = seconds
        self._executor: ProcessPoolExecutor | None = None

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """See `Reward.score`."""
        batch = self._made.checked(samples, prompts, columns or {})
        size = max(1, math.ceil(len(batch) / (self.workers * PARTS_PER_WORKER)))
        parts = [range(at, min(at + size, len(batch))) for at in range(0, len(batch), size)]
        futures = [self._submit(batch.rows(rows)) for rows in parts]
        _, late = wait(futures, timeout=self.seconds)
        if late:
            self.close()
            return out_of_time(self, samples, batch.prompts, self.seconds or math.inf)
        values, failures, details = batch.modality.missing(samples), [], {}
        for rows, future in zip(parts, futures, strict=True):
            scored = self._result(future, batch.rows(rows))
            values = batch.modality.place(values, rows, scored.values)
            failures += [
                Failure(self.name, rows[f.row], f.prompt, f.reason) for f in scored.failures
            ]
            details |= renumbered(scored.details, rows)
        return Scored(values, tuple(failures), details)

    def close(self) -> None:
        """End the workers, whatever they are doing; the next batch starts new ones."""
        if self._executor:
            self._executor.shutdown(wait=False, kill_workers=True)
            self._executor = None

    def _started(self) -> ProcessPoolExecutor:
        if not self._executor:
            self._executor = ProcessPoolExecutor(
                self.workers,
                timeout=IDLE,
                initializer=_receive,
                initargs=(self._made,),
                env={"OMP_NUM_THREADS": "1"},  # one core is the share of each
            )
        return self._executor

    def _submit(self, part: Batch) -> "Future[Scored]":
        try:
            return self._started().submit(_score, part.samples, part.prompts, part.columns)
        except BrokenProcessPool:  # a worker died meanwhile: once more, with others
            self.close()
            return self._started().submit(_score, part.samples, part.prompts, part.columns)

    def _result(self, future: "Future[Scored]", part: Any) -> Scored:
        try:
            return future.result()
        except PicklingError as error:
            raise RewardError(
                f"reward '{self.name}' cannot be sent to worker processes: {one_line(error)}; make "
                "it picklable (python -m rewards check), or set scoring.workers to 0"
            ) from error
        except BrokenProcessPool as error:  # a worker died, as when memory ran out
            self.close()
            missing = modality_of(self.definition.modality, part.samples).missing(part.samples)
            reason = f"a worker process ended: {one_line(error)}"
            failures = (Failure(self.name, row, p, reason) for row, p in enumerate(part.prompts))
            return Scored(missing, tuple(failures))


def _receive(reward: Reward) -> None:
    """Keep the reward, in a worker."""
    global _reward
    _reward = reward


def _score(samples: Any, prompts: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> Scored:
    assert _reward is not None
    return _reward.score(samples, prompts, columns)
