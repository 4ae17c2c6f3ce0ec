"""The keys of `algorithm`, kind by kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from ddpo.config.types import STRICT, Share


@dataclass(frozen=True, config=STRICT)
class CriticConfig:
    """What estimates how much reward an unfinished chain will earn."""

    network: Literal["shared", "separate"] = "shared"
    """A linear head on the policy's own last layer; or a copy of the whole policy with a head."""
    coef: PositiveFloat = 0.1
    """Weight of the value loss."""
    clip_range: PositiveFloat = 0.2
    """How far from what it was when sampling a value may move for free in an iteration."""


@dataclass(frozen=True, config=STRICT)
class _Algorithm:
    """What all policy-gradient algorithms share."""

    forward_process: ClassVar[bool] = False
    """Whether it needs finished samples only, and noises them anew."""
    critic: ClassVar[CriticConfig | None] = None
    """What estimates the value of unfinished chains, if anything does."""

    advantages: Literal["batch", "per_prompt", "group", "leave_one_out"] = "per_prompt"
    """The baseline: whole batch, running statistics per prompt, or the other samples of a prompt.
    """
    advantage_std: Literal["group", "batch"] = "group"
    """Which spread group advantages are divided by: a group with little is magnified by its own."""
    group_size: PositiveInt = 1
    """Samples of each prompt in an iteration."""
    buffer_size: PositiveInt = 32
    """Rewards remembered per prompt (per_prompt)."""
    min_count: PositiveInt = 16
    """Rewards a prompt needs before its own statistics are used (per_prompt)."""
    advantage_clip: PositiveFloat = 5.0
    """Advantages are clipped to ± this."""
    step_weights: Literal["equal", "std"] = "equal"
    """What the loss of each step counts: the same, or the std of its noise, so that steps which
    decide little about the picture are not the loudest."""
    kl_coef: NonNegativeFloat = 0.0
    """Weight of the KL penalty to the reference policy; 0 makes no reference pass."""
    kl_target: PositiveFloat | None = None
    """Adapt `kl_coef` towards this KL (nats per action; for images a mean over latent dimensions).
    """
    kl_horizon: PositiveFloat = 10_000.0
    """Samples over which the adaptive coefficient moves."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Where the penalty counts: in the loss of each action, or in its reward, before advantages."""
    entropy_coef: NonNegativeFloat = 0.0
    """Weight of a bonus for the entropy of each action (nats), where a policy can tell it."""
    stop_kl: PositiveFloat | None = None
    """Make no more updates in an iteration once one finds the policy this far (nats per action,
    `policy/approx_kl`) from the one that sampled; never when omitted."""

    @property
    def needs_means(self) -> bool:
        """Whether the means of steps are compared, and so recorded."""
        return False


@dataclass(frozen=True, config=STRICT)
class DdpoConfig(_Algorithm):
    """DDPO-IS: clipped importance sampling."""

    kind: Literal["ddpo"] = "ddpo"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; when neither this nor `clip_nats` is given 1e-4 for images, and
    0.2 for texts."""
    clip_nats: PositiveFloat | None = None
    """The same in nats of the whole action: divided by the number of latent dimensions."""


@dataclass(frozen=True, config=STRICT)
class PpoConfig(_Algorithm):
    """PPO: clipped importance sampling, with a critic's estimate for each action as baseline."""

    advantages: Literal["critic"] = "critic"  # pyright: ignore[reportIncompatibleVariableOverride]
    """The baseline: what the critic expects of each unfinished chain."""
    kind: Literal["ppo"] = "ppo"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; when neither this nor `clip_nats` is given 1e-4 for images, and
    0.2 for texts."""
    clip_nats: PositiveFloat | None = None
    """The same in nats of the whole action: divided by the number of latent dimensions."""
    kl_coef: NonNegativeFloat = 0.05
    """Weight of the KL penalty to the reference policy; 0 makes no reference pass."""
    kl_in: Literal["loss", "reward"] = "reward"
    """Where the penalty counts: in the loss of each action, or in its reward, before advantages."""
    critic: CriticConfig = CriticConfig()  # pyright: ignore[reportIncompatibleVariableOverride]
    """What the baseline of each action comes from."""
    gamma: Share = 1.0
    """Discount of one action."""
    lam: Share = 0.95
    """λ of generalised advantage estimation."""
    whiten: bool = True
    """Give the advantages of an iteration's actions mean 0 and std 1."""


@dataclass(frozen=True, config=STRICT)
class GroupConfig(_Algorithm):
    """What algorithms share that compare the samples of a prompt; groups without spread are
    skipped.
    """

    advantages: Literal["group", "leave_one_out"] = "group"
    """The baseline: the mean of a prompt's samples, or of its other samples."""
    group_size: PositiveInt = 8
    """Samples of each prompt in an iteration."""


@dataclass(frozen=True, config=STRICT)
class GrpoConfig(GroupConfig):
    """GRPO: clipped importance sampling against the other samples of a prompt."""

    kind: Literal["grpo"] = "grpo"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; when neither this nor `clip_nats` is given 1e-4 for images, and
    0.2 for texts."""
    clip_nats: PositiveFloat | None = None
    """The same in nats of the whole action: divided by the number of latent dimensions."""
    guard: bool = False
    """The ratio of GRPO-Guard, which is unbiased at every step, in place of the plain one."""

    @property
    def needs_means(self) -> bool:
        """GRPO-Guard's ratio is made of them."""
        return self.guard


@dataclass(frozen=True, config=STRICT)
class AwmConfig(GroupConfig):
    """AWM: flow matching on the policy's own samples, weighted by their advantages; flow-matching
    models only.
    """

    forward_process: ClassVar[bool] = True

    kind: Literal["awm"] = "awm"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    advantage_std: Literal["group", "batch"] = "batch"
    """Which spread group advantages are divided by: a group with little is magnified by its own."""
    clip_range: PositiveFloat = 1.0
    """Half-width of the clip of the ratio, exp of how much less the squared error became."""


@dataclass(frozen=True, config=STRICT)
class NftConfig(GroupConfig):
    """DiffusionNFT: flow matching on samples of a slower policy, towards the good ones and away
    from the others; flow-matching models only.
    """

    forward_process: ClassVar[bool] = True

    kind: Literal["nft"] = "nft"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    advantage_std: Literal["group", "batch"] = "batch"
    """Which spread group advantages are divided by: a group with little is magnified by its own."""
    kl_coef: NonNegativeFloat = 1e-4
    """Weight of the KL penalty to the reference policy; 0 makes no reference pass."""
    mixing: PositiveFloat = 1.0
    """Share β of the policy in the implicit ones, the rest being the one that sampled; smaller is
    bolder."""
    old_decay: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Largest decay of the moving average that samples; at 0 the policy itself does."""
    old_decay_growth: NonNegativeFloat = 0.001
    """What that decay grows by in an iteration, from 0 in the first."""


@dataclass(frozen=True, config=STRICT)
class DdpoSfConfig(_Algorithm):
    """DDPO-SF: the score function (REINFORCE)."""

    kind: Literal["ddpo_sf"] = "ddpo_sf"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""


@dataclass(frozen=True, config=STRICT)
class RwrConfig(_Algorithm):
    """Reward-weighted regression on the chain's own actions."""

    kind: Literal["rwr"] = "rwr"
    """`ddpo`, `ddpo_sf`, `ppo`, `grpo`, `rwr`, `nft` or `awm`."""
    temperature: PositiveFloat = 1.0
    """Weights are exp(advantage/temperature), scaled to mean 1."""


AlgorithmConfig = Annotated[
    DdpoConfig | DdpoSfConfig | PpoConfig | GrpoConfig | RwrConfig | NftConfig | AwmConfig,
    Field(discriminator="kind"),
]
