"""The rewards of a run: made before it begins, and refused if they cannot be computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from accelerate import Accelerator

from ddpo.background import Background
from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.prompts import PromptSet
from ddpo.reward_columns import Declared, refuse_missing_columns
from ddpo.scoring import Scoring
from rewards import RewardError
from rewards.combine import build
from rewards.conditions import Conditions
from rewards.specification import parse, refuse_overlap


class Scorer:
    """The rewards and watch rewards of a run."""

    def __init__(
        self, config: Config, accelerator: Accelerator, prompts: PromptSet, heldout: PromptSet
    ):
        """Make the rewards.

        Raises:
            UserError: a reward is unknown, or its options are wrong, or it is optimised and
                watched alike, or it scores another kind of samples, or prompts that it will see
                lack a column it needs, or it compares the samples of a prompt and there is one of
                each.
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
        declared = [(entry.role.label, entry.definition) for entry in (*rewards, *watch)]
        _refuse_other_modalities(config, declared)
        refuse_missing_columns(config, declared, prompts, heldout)  # before their models are loaded
        with _section("rewards"):
            self.rewards = build(rewards, combine.kind, combine.within, conditions)
        with _section("watch"):
            self.watch = build(watch, conditions=conditions)
        made = (*self.rewards.rewards, *self.watch.rewards)  # `remote` declares what it stands for
        declared = [(reward.name, reward.definition) for reward in made]
        _refuse_other_modalities(config, declared)
        refuse_missing_columns(config, declared, prompts, heldout)
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

    def begin(self, keep_details: bool = False) -> Scoring:
        """The scoring of one iteration, or of one evaluation; see `Scoring`."""
        return Scoring(self.rewards, self.watch, self.accelerator, self.background, keep_details)


@contextmanager
def _section(name: str) -> Iterator[None]:
    """Errors of rewards as errors of a section of the configuration."""
    try:
        yield
    except RewardError as error:
        lines = "; ".join(str(error).splitlines())
        raise UserError(f"{name}: {lines}") from error


def _refuse_other_modalities(config: Config, declared: Declared) -> None:
    """A reward of images cannot see texts, nor the other way round."""
    policy = config.policy
    for name, definition in declared:
        if definition.modality not in ("any", policy.modality):
            section = "rewards" if name in config.rewards else "watch"
            raise UserError(
                f"{section}: reward {name!r} scores {definition.modality}s, and samples of "
                f"policy.kind: {policy.kind} are {policy.modality}s; see docs/rewards.md for others"
            )


def _refuse_groups_of_one(config: Config, group_rewards: Sequence[str]) -> None:
    """A sample alone with its prompt has no number of a reward that compares the samples of one."""
    needs = f"{', '.join(group_rewards)} compares the samples of a prompt, and needs 2 or more"
    if group_rewards and config.algorithm.group_size < 2:
        raise UserError(f"algorithm.group_size: {config.algorithm.group_size}: {needs}, such as 8")
    if group_rewards and config.evaluation.samples == 1:
        raise UserError(f"evaluation.samples: 1: {needs}, or 0 for no evaluation")
