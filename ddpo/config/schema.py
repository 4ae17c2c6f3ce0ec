"""The schema of a run's configuration: every key, with its type, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
)
from pydantic.dataclasses import dataclass

from ddpo.config.algorithms import AlgorithmConfig
from ddpo.config.diffusion_policy import DiffusionPolicyConfig
from ddpo.config.text_policy import TextPolicyConfig
from ddpo.config.types import STRICT, Beta, Share


@dataclass(frozen=True, config=STRICT)
class LoraConfig:
    """Low-rank adapters; omit the section to train all weights."""

    rank: PositiveInt = 16
    """Rank of each adapter."""
    alpha: PositiveFloat | None = None
    """Adapter scale is alpha/rank; the rank when omitted."""
    target_modules: tuple[str, ...] | None = None
    """Names of the layers that get one; the family's attention when omitted."""


@dataclass(frozen=True, config=STRICT)
class PromptsConfig:
    """Where prompts come from: exactly one of `set`, `file` and `dataset`; see docs/prompts.md."""

    set: str | None = None
    """A named set, such as `animals` or `shapes`."""
    file: Path | None = None
    """A file: .txt with one prompt a line, or .jsonl, .csv, .tsv or .parquet with columns."""
    dataset: str | None = None
    """A folder that `save_to_disk` of `datasets` wrote, or a hub id."""
    split: str | None = None
    """Of the dataset; `train` when omitted."""
    config: str | None = None
    """Of a dataset on the hub that has several, such as 3.0.0 of cnn_dailymail."""
    template: str | None = None
    """A prompt with names of columns in braces: `Write a caption for: {text}`."""
    column: str | None = None
    """The column that is the prompt, where there is no template; `prompt` when omitted."""
    rename: dict[str, str] | None = None
    """Other names for columns, which rewards know: `{highlights: reference}`."""
    limit: PositiveInt | None = None
    """Take the first so many rows; all when omitted."""


@dataclass(frozen=True, config=STRICT)
class RewardFailuresConfig:
    """What to do with samples that a reward could not score. Never is one trained on as 0."""

    action: Literal["raise", "drop", "mean"] = "raise"
    """Stop the run; leave the sample out of the update; or give it the batch's mean."""
    limit: Share = 0.1
    """Share of an iteration's samples that may fail before the run stops after all."""


@dataclass(frozen=True, config=STRICT)
class CombineConfig:
    """How several rewards make one number."""

    kind: Literal["sum", "normalised_sum", "product"] = "sum"
    """The weighted sum; the same of rewards that are standardised first, so that their scales do
    not decide; or the product of rewards that are at least 0, each to the power of its weight."""
    within: Literal["batch", "group"] = "batch"
    """Standardise over all samples of an iteration, or over the samples of each prompt."""


@dataclass(frozen=True, config=STRICT)
class ScoringConfig:
    """Under which conditions rewards are computed; none of this changes their numbers."""

    timeout: PositiveFloat | None = 600.0
    """Seconds that a reward may take for a batch before its samples count as failed; null for ever.
    A batch is what one sampling pass made, or all samples for a reward that compares them."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes, beside each process of the run, for rewards that compute in Python; 0 for none."""
    overlap: bool | None = None
    """Score a batch while the next is sampled; where the policy is not on the CPU when omitted."""
    cache: Path | None = None
    """File in which the numbers of deterministic rewards are kept by content; none when omitted."""
    cache_limit: Annotated[int, Field(ge=65536)] = 1 << 30
    """Bytes of that file; what was used longest ago leaves first."""


def _weight_or_options(value: Any) -> Any:
    """A reward's weight as a number; a mapping of options is left to the reward's own signature."""
    if isinstance(value, Mapping):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "a weight (a number) or a mapping such as {weight: 1.0, option: value}"
        ) from None


RewardSpec = Annotated[Any, BeforeValidator(_weight_or_options)]


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """Global numbers of the loop; what each process does in one pass is derived from them."""

    iterations: PositiveInt
    """Sample-score-train rounds."""
    samples_per_iteration: PositiveInt
    """Samples of one iteration, over all processes."""
    updates_per_iteration: PositiveInt = 1
    """Optimizer steps in which each sample of an iteration is used once."""
    sample_uses: PositiveInt = 1
    """Times that an iteration's samples are used: from the second on, importance weights make up
    for the policy having moved. Multiplies the updates."""
    learning_rate: PositiveFloat = 3e-4
    """Of the optimizer, at its peak."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape after the warm-up."""
    warmup_updates: Annotated[int, Field(ge=0)] = 0
    """Updates of linear warm-up, the first at 1/(this + 1) of the rate."""
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = "adamw"
    """AdamW; the same with its state in 8 bits (needs bitsandbytes); or Adafactor, whose state is a
    row and a column for each matrix."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Of AdamW in either form."""
    weight_decay: NonNegativeFloat = 1e-4
    """Of the optimizer."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients are clipped to this norm."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the moving average of the weights, which is evaluated and saved; 0 for none."""
    mixed_precision: Literal["no", "fp16", "bf16"] | None = None
    """Autocast; accelerate's own configuration decides when omitted."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    micro_batch_size: PositiveInt | None = None
    """Most samples of a training pass per process; when omitted the samples of an update share
    passes of up to 48 rows of the network evenly, where a guidance scale above 1 counts as two
    rows of each. Halved where memory runs out, as is `sample_batch_size`."""
    actions_per_pass: PositiveInt | None = None
    """Actions of a sample scored in one network pass; when omitted 1, or as many as make 48 rows
    where an update has few samples and `micro_batch_size` is omitted, too."""
    sample_batch_size: PositiveInt | None = None
    """Most samples of a sampling pass per process; when omitted as many as make at most 64 rows of
    the network. Held-out samples make no more rows than these."""
    trajectories_on: Literal["device", "cpu"] = "device"
    """Where samples wait for their updates: what a training pass needs comes back for it."""
    processes: PositiveInt | None = None
    """Processes that must be running; the run refuses to start with another number."""


@dataclass(frozen=True, config=STRICT)
class EvaluationConfig:
    """Held-out prompts, sampled with the same noise at every evaluation, and kept for the
    gallery.
    """

    every: PositiveInt = 10
    """Iterations between evaluations; the base and the last are always evaluated."""
    samples: Annotated[int, Field(ge=0)] = 16
    """Samples of an evaluation; 0 for none. With rewards that compare the samples of a prompt,
    they are of so many prompts as get `algorithm.group_size` samples each.
    """
    prompts: PromptsConfig | None = None
    """The run's own prompts when omitted."""
    num_steps: PositiveInt | None = None
    """Steps of a held-out chain; the policy's when omitted."""
    eta: NonNegativeFloat | None = None
    """Weight of its noise, 0 for the plain solver; the policy's when omitted."""
    guidance_scale: NonNegativeFloat | None = None
    """Its guidance; the policy's when omitted."""
    guidance_interval: tuple[Share, Share] | None = None
    """Part of it that is guided, [0, 1] for all; the policy's when omitted."""
    temperature: PositiveFloat | None = None
    """Of held-out texts; the policy's when omitted."""
    top_k: PositiveInt | None = None
    """Held-out texts are of the so many likeliest tokens at each place; of all when omitted."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Held-out texts are of the likeliest tokens that make up this share; of all when omitted."""
    greedy: bool | None = None
    """Write each held-out text a second time, of the likeliest token at each place: metrics
    `evaluation/greedy/…`; for texts true when omitted."""


@dataclass(frozen=True, config=STRICT)
class CheckpointConfig:
    """When to save the whole state."""

    every: PositiveInt = 10
    """Iterations between checkpoints."""
    keep: PositiveInt = 2
    """Checkpoints kept, the newest."""


@dataclass(frozen=True, config=STRICT)
class GalleryConfig:
    """The page of the run, which is written at its end in any case."""

    every: Annotated[int, Field(ge=0)] = 10
    """Iterations after which it is written anew while the run goes on, 0 for never; skipped where
    that would take more than a hundredth of the run's time."""


@dataclass(frozen=True, config=STRICT)
class Config:
    """One training run."""

    name: str
    """The run folder is <output_dir>/<name>."""
    policy: Annotated[DiffusionPolicyConfig | TextPolicyConfig, Field(discriminator="kind")]
    """The model and its chain."""
    prompts: PromptsConfig
    """What to train on."""
    rewards: Annotated[dict[str, RewardSpec], Field(min_length=1)]
    """name: weight, or name: {weight: 1.0, option: value}; see docs/rewards.md for more."""
    algorithm: AlgorithmConfig
    """The objective and its advantages."""
    train: TrainConfig
    """The loop."""
    output_dir: Path = Path("runs")
    """Where run folders go."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of everything random."""
    lora: LoraConfig | None = None
    """Adapters; all weights are trained when omitted."""
    watch: tuple[str, ...] | dict[str, RewardSpec] = ()
    """Rewards that are measured and never optimised."""
    combine: CombineConfig = CombineConfig()
    """From several rewards to one."""
    scoring: ScoringConfig = ScoringConfig()
    """Time, processes and cache of rewards."""
    reward_failures: RewardFailuresConfig = RewardFailuresConfig()
    """Samples that could not be scored."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Held-out samples."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Saved state."""
    gallery: GalleryConfig = GalleryConfig()
    """The page in the run folder."""
    tracker: str = "none"
    """`none`, or a tracker that accelerate offers: tensorboard, wandb, …"""

    @property
    def run_folder(self) -> Path:
        """Where this run lives."""
        return self.output_dir / self.name


SCHEMA: TypeAdapter[Config] = TypeAdapter(Config)
