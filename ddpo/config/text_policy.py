"""The keys of `policy` for the token chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from ddpo.config.types import STRICT, Dtype

if TYPE_CHECKING:
    from ddpo.config.schema import Config, EvaluationConfig


@dataclass(frozen=True, config=STRICT)
class WeightsConfig:
    """The dtype that weights are loaded and kept in; adapters and critics are fp32, always."""

    network: Dtype = "fp32"
    """Of the language model; fp32 where all of its weights are trained."""


@dataclass(frozen=True, config=STRICT)
class TextPolicyConfig:
    """The token chain: a causal or a sequence-to-sequence language model of transformers."""

    modality: ClassVar[str] = "text"
    """What its samples are, in the word of `rewards`."""
    memory_savers: ClassVar[str] = "a smaller policy.max_length, and a smaller policy.chunk"
    """Keys with which it needs less memory."""
    plain_attention: ClassVar[str] = "eager"
    """The back end of attention that rounds least."""
    memory_is_estimated: ClassVar[bool] = False
    """Whether `ddpo config` can tell what a run needs."""
    compile: ClassVar[bool] = False
    """Whether blocks are compiled."""
    channels_last: ClassVar[bool] = False
    """How kernels of convolutions lie: there are none."""

    kind: Literal["text"]
    """Which chain: `text`."""
    model: str
    """`texts-seq2seq` or `texts-causal` (embedded), a folder in transformers' format, or a hub
    id."""
    max_length: PositiveInt = 128
    """Most tokens of a completion; one that is longer is cut off."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """Tokens of a completion before it may end by itself."""
    temperature: PositiveFloat = 1.0
    """Of samples in training; log-probs are of the same distribution."""
    stop: tuple[str, ...] = ()
    """Texts at which a completion ends; they are not part of it."""
    missing_eos_penalty: NonNegativeFloat = 0.0
    """What a completion that was cut off loses of its reward."""
    precision: WeightsConfig = WeightsConfig()
    """Of the weights; `train.mixed_precision` is of network passes."""
    attention: str | None = None
    """Attention of transformers: eager, sdpa, flash_attention_2, …; as loaded when omitted."""
    chunk: PositiveInt = 1024
    """Tokens whose distribution over the vocabulary is in memory at a time; changes no number."""

    @property
    def longest_chain(self) -> int:
        """Actions of a sample, at most."""
        return self.max_length

    @property
    def most_actions_per_pass(self) -> int | None:
        """Actions of a sample that one network row can score; None for all of them."""
        return None

    @property
    def rows_of_a_sample(self) -> int:
        """Of the network, in one pass."""
        return 1

    def rows_of_a_heldout_sample(self, evaluation: EvaluationConfig) -> int:
        """The same of a sample of `evaluation`."""
        del evaluation
        return 1

    @property
    def audit_every(self) -> int | None:
        """Iterations between audits of what the rewards see; None for no audit."""
        return None

    def contradictions(self, config: Config) -> list[str]:
        """One line for each key of this section that another key rules out."""
        algorithm, problems = config.algorithm, []
        if algorithm.forward_process or algorithm.needs_means:
            key = "kind" if algorithm.forward_process else "guard"
            problems.append(
                f"algorithm.{key}: {getattr(algorithm, key)} is for policy.kind: diffusion; take "
                f"kind: ppo or grpo"
            )
        if algorithm.step_weights != "equal":
            problems.append(
                f"algorithm.step_weights: {algorithm.step_weights} is for policy.kind: diffusion; "
                f"leave the key out"
            )
        if self.min_length > self.max_length:
            problems.append(
                f"policy.min_length: {self.min_length} is more than max_length: {self.max_length}"
            )
        if "" in self.stop:
            problems.append("policy.stop: an empty text would end every completion at once")
        problems += [
            f"evaluation.{key}: {value} is for policy.kind: diffusion; leave the key out"
            for key in ("num_steps", "eta", "guidance_scale", "guidance_interval")
            if (value := getattr(config.evaluation, key)) is not None
        ]
        return problems
