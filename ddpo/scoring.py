"""From trajectories to rewards: every process scores its own samples, and all of them see all the
numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ddpo.background import Background
from ddpo.distributed import gathered
from ddpo.errors import RunError
from ddpo.group_scoring import Failures, Parts, Seen, gather_seen, score_groups
from ddpo.scores import Scores
from ddpo.trajectory import Trajectory
from rewards import RewardError
from rewards.combine import Combination
from rewards.errors import one_line

logger = logging.getLogger(__name__)

Detail = tuple[str, int, Any]
"""Of which reward, of which row, and what that told."""


@dataclass(frozen=True)
class _Part:
    """Some samples of one process, scored alone; failures and details are numbered within them."""

    count: int
    parts: Parts
    watch: Parts
    failures: Failures
    unwatched: Failures
    details: tuple[Detail, ...] = ()

    def moved(self, rows: int) -> _Part:
        """The same, with failures and details numbered so many rows further."""
        failures, unwatched = (
            tuple(replace(failure, row=failure.row + rows) for failure in failed)
            for failed in (self.failures, self.unwatched)
        )
        details = tuple((name, row + rows, detail) for name, row, detail in self.details)
        return replace(self, failures=failures, unwatched=unwatched, details=details)


class Scoring:
    """Scores of samples that may still be in the making: what one sampling pass made is a batch of
    the rewards that look at each sample alone. With `scoring.overlap`, it is scored while the next
    one is sampled.
    """

    def __init__(
        self,
        rewards: Combination,
        watch: Combination,
        accelerator: Accelerator,
        background: Background | None,
        keep_details: bool = False,
    ):
        """Begin with no samples.

        Args:
            rewards: that are optimised.
            watch: that are measured only.
            accelerator: of the run.
            background: where batches are scored, if scoring overlaps with sampling.
            keep_details: whether scores have the details that rewards tell of samples; never those
                of rewards that compare the samples of a prompt.
        """
        self._rewards = rewards
        self._watch = watch
        self._accelerator = accelerator
        self._background = background
        self._keep_details = keep_details
        self._parts: list[Callable[[], _Part]] = []

    def add(self, part: Trajectory) -> None:
        """The next samples of this process; where scoring overlaps with sampling, it begins now."""
        score = partial(self._alone, (part.outputs, part.prompts, part.columns))
        self._parts.append(self._background.submit(score).result if self._background else score)

    def finish(self, trajectory: Trajectory, count: int | None = None) -> Scores:
        """All processes' scores.

        Args:
            trajectory: all samples of this process, as they were added.
            count: how many of all processes' samples are there to be compared; what comes after
                them only evens out the processes' shares.

        Raises:
            RunError: on all processes, if a reward broke on any: it gave no numbers that could be
                used at all.
        """
        scored, problems = None, []
        compared = self._rewards.group_rewards or self._watch.group_rewards
        everyone = gather_seen(self._accelerator, trajectory, count) if compared else None
        try:
            scored = self._mine(trajectory, everyone)
        except RewardError as error:
            problems.append(str(error))
        # Whatever it is: the other processes wait for this one.
        except Exception as error:
            logger.exception("while scoring")
            problems.append(f"rewards: {one_line(error)}")
        everyones_problems: Any = gather_object(problems)
        if everyones_problems:
            raise RunError(everyones_problems[0])
        assert scored is not None
        parts, watch, failures, told = scored
        prompts: Any = gather_object(list(trajectory.prompts))
        parts, watch = self._gathered(parts), self._gathered(watch)
        total = self._rewards.rule.total(parts, prompts)
        return Scores(
            rewards=torch.from_numpy(total).float(),
            parts={name: torch.from_numpy(values) for name, values in parts.items()},
            watch={name: torch.from_numpy(values) for name, values in watch.items()},
            failures=gather_object(failures),
            details=self._by_name(told),
            comparable=self._rewards.rule.comparable,
        )

    @torch.no_grad()
    def _alone(self, seen: Seen) -> _Part:
        _, prompts, _ = seen
        ours = self._rewards.score(*seen, group=False)
        watch = self._watch.score(*seen, group=False)
        told = (ours.details | watch.details) if self._keep_details else {}
        details = ((name, row, one) for name, rows in told.items() for row, one in rows.items())
        failures = ours.failures, watch.failures
        return _Part(len(prompts), ours.parts, watch.parts, *failures, tuple(details))

    def _mine(
        self, trajectory: Trajectory, everyone: Seen | None
    ) -> tuple[Parts, Parts, list[str], tuple[Detail, ...]]:
        """This process's numbers of all rewards, failures and details."""
        first = self._accelerator.process_index * len(trajectory.prompts)
        mine = _joined([part() for part in self._parts], first)
        self._parts.clear()  # the samples are not needed during the updates
        parts, watch, failures, unwatched = mine.parts, mine.watch, mine.failures, mine.unwatched
        if everyone is not None:
            own = (trajectory, everyone, first)
            more, failed = score_groups(self._rewards, *own)
            watched, failed_watch = score_groups(self._watch, *own)
            parts, watch = parts | more, watch | watched
            failures, unwatched = failures + failed, unwatched + failed_watch
        _tell(unwatched)
        ordered = {name: parts[name] for name in self._rewards.names}
        watch = {name: watch[name] for name in self._watch.names}
        return ordered, watch, [str(failure) for failure in failures], mine.details

    def _by_name(self, mine: Sequence[Detail]) -> dict[str, dict[int, Any]]:
        """All processes' details; while training, when none are kept, nothing is exchanged."""
        everyones: Any = gather_object(list(mine)) if self._keep_details else []
        found: dict[str, dict[int, Any]] = {}
        for name, row, detail in everyones:
            found.setdefault(name, {})[row] = detail
        return found

    def _gathered(self, parts: Parts) -> Parts:
        accelerator = self._accelerator
        return {
            name: gathered(accelerator, torch.from_numpy(values).to(accelerator.device))
            .cpu()
            .numpy()
            for name, values in parts.items()
        }


def _tell(failures: Sequence[object]) -> None:
    """Watch rewards that fail stop nothing, and are not passed over in silence."""
    if failures:
        logger.warning("%d watch rewards failed, such as %s", len(failures), failures[0])


def _joined(parts: Sequence[_Part], first: int) -> _Part:
    """Batches one after the other; the first sample has the number `first` in the iteration."""
    starts = accumulate((part.count for part in parts), initial=first)
    moved = [part.moved(start) for part, start in zip(parts, starts, strict=False)]
    return _Part(
        sum(part.count for part in moved),
        _concatenated([part.parts for part in moved]),
        _concatenated([part.watch for part in moved]),
        tuple(failure for part in moved for failure in part.failures),
        tuple(failure for part in moved for failure in part.unwatched),
        tuple(detail for part in moved for detail in part.details),
    )


def _concatenated(parts: Sequence[Parts]) -> Parts:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
