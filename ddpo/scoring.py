"""From trajectories to rewards: every process scores its own samples, and all of them see all the
numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from ddpo.background import Background
from ddpo.config import Config, RewardFailuresConfig
from ddpo.distributed import gathered
from ddpo.errors import RunError, UserError
from ddpo.prompts import PromptSet
from ddpo.trajectory import Trajectory
from rewards import RewardError
from rewards.combine import Combination, from_spec
from rewards.conditions import Conditions
from rewards.errors import one_line

logger = logging.getLogger(__name__)

Parts = dict[str, np.ndarray]
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
        failures: one line for each sample that the optimised rewards could not score.
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
            UserError: a reward is unknown, or its options are wrong, or the prompts lack a column
                it needs.
        """
        self.accelerator = accelerator
        scoring, combine = config.scoring, config.combine
        cache = scoring.cache.expanduser() if scoring.cache else None
        conditions = Conditions(scoring.timeout, scoring.workers, cache, scoring.cache_limit)
        self.rewards = _combination(
            "rewards", config.rewards, combine.kind, combine.within, conditions
        )
        self.watch = _combination("watch", config.watch, "sum", "batch", conditions)
        for name in sorted((self.rewards.columns | self.watch.columns) - prompts.columns.keys()):
            raise UserError(
                f"prompts: a reward needs the column {name!r}, which the prompt set lacks"
            )
        overlap = scoring.overlap
        if overlap is None:  # on the CPU, sampling needs the cores itself
            overlap = accelerator.device.type != "cpu"
        self.background = Background() if overlap else None

    def close(self) -> None:
        """Stop scoring in the background."""
        if self.background:
            self.background.close()

    def begin(self) -> Scoring:
        """The scoring of one iteration, or of one evaluation."""
        return Scoring(self)


class Scoring:
    """Scores of samples that may still be in the making: with `scoring.overlap`, each part is
    scored while the next one is sampled.
    """

    def __init__(self, scorer: Scorer):
        """Begin with no samples."""
        self._scorer = scorer
        self._parts: list[Future[tuple[Parts, Parts, list[str]]]] = []

    def add(self, part: Trajectory) -> None:
        """Begin with some samples of this process, where scoring overlaps with sampling: with the
        rewards that look at each sample alone.
        """
        if self._scorer.background:
            self._parts.append(self._scorer.background.submit(lambda: self._alone(part)))

    def finish(self, trajectory: Trajectory, count: int | None = None) -> Scores:
        """All processes' scores.

        Args:
            trajectory: all samples of this process, those that were added in their order.
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
    def _alone(self, part: Trajectory) -> tuple[Parts, Parts, list[str]]:
        seen = (part.outputs, part.prompts, part.columns)
        parts, failures = self._scorer.rewards.score(*seen, group=False)
        watch, unwatched = self._scorer.watch.score(*seen, group=False)
        _tell(unwatched)
        return parts, watch, [str(failure) for failure in failures]

    def _mine(
        self, trajectory: Trajectory, everyone: Seen | None
    ) -> tuple[Parts, Parts, list[str]]:
        """This process's numbers of all rewards."""
        alone = [future.result() for future in self._parts] or [self._alone(trajectory)]
        parts = _joined([part for part, _, _ in alone])
        watch = _joined([watched for _, watched, _ in alone])
        failures = [line for _, _, lines in alone for line in lines]
        if everyone is not None:
            more, lines = self._together(self._scorer.rewards, trajectory, everyone)
            watched, lines_of_watch = self._together(self._scorer.watch, trajectory, everyone)
            _tell(lines_of_watch)
            parts, watch, failures = parts | more, watch | watched, failures + lines
        ordered = {name: parts[name] for name in self._scorer.rewards.names}
        return ordered, {name: watch[name] for name in self._scorer.watch.names}, failures

    def _everyone(self, trajectory: Trajectory, count: int | None) -> Seen | None:
        """All processes' samples, if a reward compares the samples of a prompt: a prompt may be
        spread over processes.
        """
        if not (self._scorer.rewards.has_group_rewards or self._scorer.watch.has_group_rewards):
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
    ) -> tuple[Parts, list[str]]:
        """This process's numbers of the rewards that compare the samples of a prompt.

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
        return mine, [str(failure) for failure in failures if failure.row in wanted]

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


def _combination(
    section: str, spec: object, kind: Any, within: Any, conditions: Conditions
) -> Combination:
    """The rewards of one section of the configuration."""
    try:
        return from_spec(spec, kind, within, conditions)
    except RewardError as error:
        lines = "; ".join(str(error).splitlines())
        raise UserError(f"{section}: {lines}") from error


def _tell(failures: Sequence[object]) -> None:
    """Watch rewards that fail stop nothing, and are not passed over in silence."""
    if failures:
        logger.warning("%d watch rewards failed, such as %s", len(failures), failures[0])


def _joined(parts: list[Parts]) -> Parts:
    """Batches one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
