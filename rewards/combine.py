"""Several rewards, one number per sample, with every part kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewards.conditions import IN_PROCESS, Conditions
from rewards.errors import RewardError
from rewards.modality import modality_of
from rewards.rule import Kind, Rule, Within
from rewards.scoring import Failure, RewardLike
from rewards.specification import Entry, parse, raise_all

Parts = dict[str, Float[np.ndarray, " b"]]
Details = dict[str, Mapping[int, Any]]


@dataclass(frozen=True)
class Combined:
    """Of a batch: `total [B]`, the unweighted `parts` by label (each `[B]`), the failures, and the
    details by label and row.

    A part is NaN where it could not be scored, and so is the total: a missing reward is never 0.
    """

    total: Float[np.ndarray, " b"]
    parts: Parts
    failures: tuple[Failure, ...]
    details: Details


@dataclass(frozen=True)
class PartsScored:
    """Of a batch, what some of the rewards made of it: as in `Combined`."""

    parts: Parts
    failures: tuple[Failure, ...]
    details: Details


class Combination:
    """Rewards and the rule that makes one of them. Watch rewards are one too, whose total nobody
    reads.

    Args:
        rewards: one for each role of the rule, in its order.
        rule: how they are joined.

    Raises:
        RewardError: a reward that can be negative, by its declared range, is in a product.
    """

    def __init__(self, rewards: Sequence[RewardLike], rule: Rule) -> None:
        self.rewards = tuple(rewards)
        self.rule = rule
        if rule.kind == "product":
            pairs = zip(self.rewards, rule.roles, strict=True)
            factors = [reward for reward, role in pairs if role.gate is None]
            raise_all([problem for reward in factors if (problem := _not_a_factor(reward))])

    @property
    def names(self) -> list[str]:
        """The labels of the parts, in order."""
        return [reward.name for reward in self.rewards]

    @property
    def columns(self) -> set[str]:
        """The dataset columns that the rewards need between them."""
        return {column for reward in self.rewards for column in reward.definition.columns}

    @property
    def group_rewards(self) -> list[str]:
        """The labels of those that compare the samples of a prompt, and so need all of them."""
        return [reward.name for reward in self.rewards if reward.definition.group]

    def __call__(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Combined:
        """Score a batch with every reward; without any reward the total is NaN.

        Raises:
            RewardError: as `Reward.score` does.
        """
        alone = self.score(samples, prompts, columns, group=False)
        together = self.score(samples, prompts, columns, group=True)
        parts = {name: (alone.parts | together.parts)[name] for name in self.names}
        return Combined(
            self.rule.total(parts, prompts),
            parts,
            alone.failures + together.failures,
            alone.details | together.details,
        )

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
        *,
        group: bool,
    ) -> PartsScored:
        """The parts that score each sample alone, or those that compare the samples of a prompt.

        The first can be had batch by batch; the second need all samples of each prompt.
        """
        parts, failures, details = {}, [], {}
        for reward in self.rewards:
            if reward.definition.group is group:
                scored = reward.score(samples, prompts, columns)
                modality = modality_of(reward.definition.modality, samples)
                parts[reward.name] = modality.array(scored.values)
                failures += scored.failures
                if scored.details:
                    details[reward.name] = scored.details
        return PartsScored(parts, tuple(failures), details)


def from_spec(
    spec: Any,
    kind: Kind = "sum",
    within: Within = "batch",
    conditions: Conditions = IN_PROCESS,
) -> Combination:
    """Build from a specification: see `rewards.specification`.

    Raises:
        RewardError: all that is wrong with the specification, one line each.
    """
    return build(parse(spec), kind, within, conditions)


def build(
    entries: Sequence[Entry],
    kind: Kind = "sum",
    within: Within = "batch",
    conditions: Conditions = IN_PROCESS,
) -> Combination:
    """Build from the entries of a specification.

    Raises:
        RewardError: the rule is impossible, or rewards cannot be made, one line each.
    """
    rule = Rule(tuple(entry.role for entry in entries), kind, within)
    rewards, problems = [], []
    for entry in entries:
        try:
            rewards.append(conditions.under(entry.make()))
        except RewardError as error:
            problems.append(str(error))
    raise_all(problems)
    return Combination(rewards, rule)


def _not_a_factor(reward: RewardLike) -> str:
    lowest = (reward.definition.range or (-np.inf, np.inf))[0]
    if lowest >= 0:
        return ""
    return (
        f"reward '{reward.name}' can be negative, by its declared range: a product needs rewards "
        "of at least 0; use normalised_sum"
    )
