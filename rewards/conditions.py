"""Under which conditions rewards are called: how long, in how many processes, with which cache."""

from dataclasses import dataclass
from pathlib import Path

from rewards.cache import LIMIT, Cache
from rewards.cached import Cached, fingerprint
from rewards.scoring import Reward, RewardLike
from rewards.timed import Timed


@dataclass(frozen=True)
class Conditions:
    """What holds for all rewards of a combination.

    Attributes:
        timeout: seconds that a reward may take for a batch; None for ever.
        workers: processes for rewards that declare themselves `cpu_bound`; 0 for none.
        cache: file with the numbers of deterministic rewards; None for none.
        cache_limit: bytes of that file.
    """

    timeout: float | None = None
    workers: int = 0
    cache: Path | None = None
    cache_limit: int = LIMIT

    def under(self, reward: Reward) -> RewardLike:
        """The reward under these conditions, as far as they make sense for it.

        Raises:
            RewardError: the cache cannot be opened, or the reward cannot be cached.
        """
        declared = reward.definition
        alone = not declared.group
        around: RewardLike = reward
        if self.workers and declared.cpu_bound and alone:
            from rewards.pool import Pooled

            around = Pooled(reward, self.workers, self.timeout)
        elif self.timeout is not None:
            around = Timed(reward, self.timeout)
        if self.cache and declared.deterministic and alone:
            around = Cached(around, Cache(self.cache, self.cache_limit), fingerprint(reward))
        return around


IN_PROCESS = Conditions()
"""Called as they are."""
