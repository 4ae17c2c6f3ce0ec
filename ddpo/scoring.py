"""From trajectories to rewards: every process scores its own samples, and all of them see all the
numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from ddpo.background import Background
from ddpo.config.schema import Config, RewardFailuresConfig
from ddpo.distributed import gathered
from ddpo.errors import RunError, UserError
from ddpo.prompts import PromptSet
from ddpo.trajectory import Trajectory
from rewards import RewardError
from rewards.combine import Combination, build
from rewards.conditions import Conditions
from rewards.errors import one_line
from rewards.scoring import Failure
from rewards.specification import parse, refuse_overlap

logger = logging.getLogger(__name__)

Parts = dict[str, np.ndarray]
Failures = tuple[Failure, ...]
Seen = tuple[Any, list[str], dict[str, list[Any]]]
"""What a reward is called with: samples, prompts, columns."""


@dataclass(frozen=True)
class Scores:
    """Rewards of an iteration's samples, all processes' in order, on the CPU; NaN where a sample
    could not be scored.

    Attributes:
        rewards: `[N]`, what is optimised.
        parts: `[N]` by reward name, unweighted.
        watch: `[N]` by watch reward.
        failures: one line for each sample that the optimised rewards could not score, which is
            numbered as in the iteration.
        comparable: whether `rewards` of two iterations can be compared.
    """

    rewards: Float[Tensor, " n"]
    parts: dict[str, Float[Tensor, " n"]]
    watch: dict[str, Float[Tensor, " n"]]
    failures: list[str]
    comparable: bool = True


class Scorer:
    """The rewards and watch rewards of a run."""

    def __init__(self, config: Config, accelerator: Accelerator, prompts: PromptSet):
        """Make the rewards.

        Raises:
            UserError: a reward is unknown, or its options are wrong, or it is optimised and
                watched alike, or the prompts lack a column it needs, or it compares the samples of
                a prompt and there is one of each.
        """
        self.accelerator = accelerator
        scoring, combine = config.scoring, config.combine
        cache = scoring.cache.expanduser() if scoring.cache else None
        conditions = Conditions(scoring.timeout, scoring.workers, cache, scoring.cache_limit)
        with _section("rewards"):
            rewards = parse(config.rewards)
        with _section("watch"):
            watch = parse(config.watch)
            refuse_overlap(rewards, watch)
        with _section("rewards"):
            self.rewards = build(rewards, combine.kind, combine.within, conditions)
        with _section("watch"):
            self.watch = build(watch, conditions=conditions)
        for name in sorted((self.rewards.columns | self.watch.columns) - prompts.columns.keys()):
            raise UserError(
                f"prompts: a reward needs the column {name!r}, which the prompt set lacks"
            )
        _refuse_groups_of_one(config, self.group_rewards)
        overlap = scoring.overlap
        if overlap is None:  # on the CPU, sampling needs the cores itself
            overlap = accelerator.device.type != "cpu"
        self.background = Background() if overlap else None

    @property
    def group_rewards(self) -> list[str]:
        """The labels of those that compare the samples of a prompt, and so need all of them."""
        return [*self.rewards.group_rewards, *self.watch.group_rewards]

    def close(self) -> None:
        """Stop scoring in the background."""
        if self.background:
            self.background.close()

    def begin(self) -> Scoring:
        """The scoring of one iteration, or of one evaluation."""
        return Scoring(self)


@dataclass(frozen=True)
class _Part:
    """Some samples of one process, scored alone; failures are numbered within them."""

    count: int
    parts: Parts
    watch: Parts
    failures: Failures
    unwatched: Failures

    def moved(self, rows: int) -> _Part:
        """The same, with failures numbered so many rows further."""
        failures, unwatched = (
            tuple(replace(failure, row=failure.row + rows) for failure in failed)
            for failed in (self.failures, self.unwatched)
        )
        return replace(self, failures=failures, unwatched=unwatched)


class Scoring:
    """Scores of samples that may still be in the making: what one sampling pass made is a batch of
    the rewards that look at each sample alone. With `scoring.overlap`, it is scored while the next
    one is sampled.
    """

    def __init__(self, scorer: Scorer):
        """Begin with no samples."""
        self._scorer = scorer
        self._parts: list[Callable[[], _Part]] = []

    def add(self, part: Trajectory) -> None:
        """The next samples of this process; where scoring overlaps with sampling, it begins now."""
        score = partial(self._alone, (part.outputs, part.prompts, part.columns))
        background = self._scorer.background
        self._parts.append(background.submit(score).result if background else score)

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
        everyone = self._everyone(trajectory, count)
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
        parts, watch, failures = scored
        prompts: Any = gather_object(list(trajectory.prompts))
        parts, watch = self._gathered(parts), self._gathered(watch)
        total = self._scorer.rewards.rule.total(parts, prompts)
        return Scores(
            rewards=torch.from_numpy(total).float(),
            parts={name: torch.from_numpy(values) for name, values in parts.items()},
            watch={name: torch.from_numpy(values) for name, values in watch.items()},
            failures=gather_object(failures),
            comparable=self._scorer.rewards.rule.comparable,
        )

    @torch.no_grad()
    def _alone(self, seen: Seen) -> _Part:
        _, prompts, _ = seen
        parts, failures = self._scorer.rewards.score(*seen, group=False)
        watch, unwatched = self._scorer.watch.score(*seen, group=False)
        return _Part(len(prompts), parts, watch, failures, unwatched)

    def _mine(
        self, trajectory: Trajectory, everyone: Seen | None
    ) -> tuple[Parts, Parts, list[str]]:
        """This process's numbers of all rewards."""
        first = self._scorer.accelerator.process_index * len(trajectory.prompts)
        mine = _joined([part() for part in self._parts], first)
        self._parts.clear()  # the samples are not needed during the updates
        parts, watch, failures, unwatched = mine.parts, mine.watch, mine.failures, mine.unwatched
        if everyone is not None:
            more, failed = self._together(self._scorer.rewards, trajectory, everyone)
            watched, failed_watch = self._together(self._scorer.watch, trajectory, everyone)
            parts, watch = parts | more, watch | watched
            failures, unwatched = failures + failed, unwatched + failed_watch
        _tell(unwatched)
        ordered = {name: parts[name] for name in self._scorer.rewards.names}
        watch = {name: watch[name] for name in self._scorer.watch.names}
        return ordered, watch, [str(failure) for failure in failures]

    def _everyone(self, trajectory: Trajectory, count: int | None) -> Seen | None:
        """All processes' samples, if a reward compares the samples of a prompt: a prompt may be
        spread over processes.
        """
        if not self._scorer.group_rewards:
            return None
        samples: Any = trajectory.outputs
        if isinstance(samples, Tensor):
            samples = gathered(self._scorer.accelerator, samples)
        else:
            samples = gather_object(list(samples))
        prompts: Any = gather_object(list(trajectory.prompts))
        columns: dict[str, Any] = {
            name: gather_object(list(values)) for name, values in trajectory.columns.items()
        }
        cut = slice(count)
        return samples[cut], prompts[cut], {name: v[cut] for name, v in columns.items()}

    @torch.no_grad()
    def _together(
        self,
        combination: Combination,
        trajectory: Trajectory,
        everyone: Seen,
    ) -> tuple[Parts, Failures]:
        """This process's numbers of the rewards that compare the samples of a prompt, and its
        failures, numbered as in the iteration.

        Every process scores all samples of the prompts that it has one of.
        """
        samples, prompts, columns = everyone
        rows = [row for row, prompt in enumerate(prompts) if prompt in set(trajectory.prompts)]
        values, failures = combination.score(
            samples[rows] if isinstance(samples, Tensor) else [samples[row] for row in rows],
            [prompts[row] for row in rows],
            {name: [given[row] for row in rows] for name, given in columns.items()},
            group=True,
        )
        share = len(trajectory.prompts)
        first = self._scorer.accelerator.process_index * share
        found = {row: at for at, row in enumerate(rows)}
        wanted = [found.get(first + number) for number in range(share)]
        mine = {
            name: np.array([np.nan if at is None else numbers[at] for at in wanted], np.float32)
            for name, numbers in values.items()
        }
        failed = (failure for failure in failures if failure.row in wanted)
        return mine, tuple(replace(failure, row=rows[failure.row]) for failure in failed)

    def _gathered(self, parts: Parts) -> Parts:
        accelerator = self._scorer.accelerator
        return {
            name: gathered(accelerator, torch.from_numpy(values).to(accelerator.device))
            .cpu()
            .numpy()
            for name, values in parts.items()
        }


def settle_failures(
    scores: Scores, config: RewardFailuresConfig
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Rewards and a mask of those that count, after the configured treatment of samples that could
    not be scored.

    Raises:
        RunError: a sample failed and the configuration says raise, or more failed than its limit
            allows.
    """
    scored = scores.rewards.isfinite()
    failed = int((~scored).sum())
    if not failed:
        return scores.rewards, scored.float()
    example = scores.failures[0] if scores.failures else "no reason given"
    if config.action == "raise":
        raise RunError(f"{failed} of {len(scored)} samples could not be scored: {example}")
    if failed > config.limit * len(scored) or failed == len(scored):
        raise RunError(
            f"{failed} of {len(scored)} samples could not be scored, more than "
            f"reward_failures.limit: "
            f"{config.limit} allows: {example}"
        )
    if config.action == "drop":
        return scores.rewards, scored.float()
    mean = scores.rewards[scored].mean()
    return torch.where(scored, scores.rewards, mean), torch.ones_like(scores.rewards)


@contextmanager
def _section(name: str) -> Iterator[None]:
    """Errors of rewards as errors of a section of the configuration."""
    try:
        yield
    except RewardError as error:
        lines = "; ".join(str(error).splitlines())
        raise UserError(f"{name}: {lines}") from error


def _refuse_groups_of_one(config: Config, group_rewards: Sequence[str]) -> None:
    """A sample alone with its prompt has no number of a reward that compares the samples of one."""
    needs = f"{', '.join(group_rewards)} compares the samples of a prompt, and needs 2 or more"
    if group_rewards and config.algorithm.group_size < 2:
        raise UserError(f"algorithm.group_size: {config.algorithm.group_size}: {needs}, such as 8")
    if group_rewards and config.evaluation.samples == 1:
        raise UserError(f"evaluation.samples: 1: {needs}, or 0 for no evaluation")


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
    )


def _concatenated(parts: Sequence[Parts]) -> Parts:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
