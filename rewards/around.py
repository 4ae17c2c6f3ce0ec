"""What surrounds a reward, and bears its name and declaration: a cache, a limit of time, a pool."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rewards.definition import Definition
from rewards.scoring import RewardLike, Scored


class Around(ABC):
    """A `RewardLike` that asks another one."""

    def __init__(self, reward: RewardLike) -> None:
        self.reward = reward

    @property
    def name(self) -> str:
        """That of the reward."""
        return self.reward.name

    @property
    def definition(self) -> Definition:
        """That of the reward."""
        return self.reward.definition

    @abstractmethod
    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """See `Reward.score`."""
