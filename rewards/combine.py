"""Several rewards, one number per sample: the weighted sum, with every part kept."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rewards import options as option_values
from rewards.errors import RewardError
from rewards.registry import Definition, definition
from rewards.scoring import Failure, Reward


@dataclass(frozen=True)
class Scores:
    """Of a batch: `total [B]`, the unweighted `parts` by reward name (each `[B]`), the failures.

    A part is NaN where it could not be scored, and so is the total: a missing reward is never 0.
    """

    total: Tensor
    parts: dict[str, Tensor]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Entry:
    """One line of a specification, checked: which reward, with which weight and options."""

    definition: Definition
    weight: float
    options: dict[str, Any]


class Combination:
    """The weighted sum of rewards. Watch rewards are one too, whose total nobody reads."""

    def __init__(self, rewards: Sequence[Reward], weights: Sequence[float] | None = None) -> None:
        self.rewards = tuple(rewards)
        self.weights = tuple(weights) if weights is not None else (1.0,) * len(self.rewards)
        if len(self.weights) != len(self.rewards):
            raise RewardError(f"{len(self.rewards)} rewards have {len(self.weights)} weights")
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise RewardError(
                f"reward '{repeated.pop()}' is combined with itself: give it one weight"
            )

    @property
    def names(self) -> list[str]:
        """The names of the parts, in order."""
        return [reward.name for reward in self.rewards]

    @property
    def columns(self) -> set[str]:
        """The dataset columns that the rewards need between them."""
        return {column for reward in self.rewards for column in reward.definition.columns}

    def __call__(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scores:
        """Score a batch with every reward; without any reward the total is NaN.

        Raises:
            RewardError: as `Reward.score` does.
        """
        scored = {reward.name: reward.score(samples, prompts, columns) for reward in self.rewards}
        parts = {name: one.values for name, one in scored.items()}
        weighted = [
            weight * part for weight, part in zip(self.weights, parts.values(), strict=True)
        ]
        total = (
            torch.stack(weighted).sum(dim=0) if weighted else torch.full((len(prompts),), torch.nan)
        )
        failures = tuple(failure for one in scored.values() for failure in one.failures)
        return Scores(total, parts, failures)


def from_spec(spec: Any) -> Combination:
    """Build from `{name: weight}`, `{name: {weight: 1.0, option: value}}`, or a list of names.

    Raises:
        RewardError: all that is wrong with the specification, one line each.
    """
    entries = parse(spec)
    made, problems = [], []
    for entry in entries:
        try:
            made.append(
                Reward(entry.definition, option_values.build(entry.definition, entry.options))
            )
        except RewardError as error:
            problems.append(str(error))
    _raise_all(problems)
    return Combination(made, [entry.weight for entry in entries])


def parse(spec: Any) -> list[Entry]:
    """Check a specification without building its rewards, so that no model is loaded.

    Raises:
        RewardError: all that is wrong with the specification, one line each.
    """
    entries, problems = [], []
    for name, value in _items(spec):
        try:
            entries.append(_entry(name, value))
        except RewardError as error:
            problems.append(str(error))
    found = [entry.definition.name for entry in entries]
    problems += [
        f"reward '{name}' is listed twice" for name in dict.fromkeys(found) if found.count(name) > 1
    ]
    _raise_all(problems)
    return entries


def _items(spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return list(spec.items())
    if isinstance(spec, str) or not isinstance(spec, Iterable):
        raise RewardError(
            f"rewards are a mapping of names to weights, or a list of names, not {spec!r}"
        )
    return [(name, 1.0) for name in spec]


def _entry(name: str, value: Any) -> Entry:
    if not isinstance(name, str):
        raise RewardError(f"the name of a reward is a text, not {name!r}")
    given = dict(value) if isinstance(value, Mapping) else {"weight": value}
    problems = []
    try:
        weight = _weight(name, given.pop("weight", 1.0))
    except RewardError as error:
        problems.append(str(error))
        weight = math.nan
    try:
        found = definition(name)
        checked = option_values.check(found, given)
    except RewardError as error:
        raise RewardError("\n".join([*problems, str(error)])) from error
    _raise_all(problems)
    return Entry(found, weight, checked)


def _weight(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise RewardError(f"reward '{name}': weight={value!r} is not a finite number")
    return weight


def _raise_all(problems: list[str]) -> None:
    if problems:
        raise RewardError("\n".join(problems))
