"""The schema of a run's configuration: every key, with its type, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
)
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

Dtype = Literal["fp32", "bf16", "fp16"]
Beta = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class WindowConfig:
    """The steps that have noise and are trained; the others are the plain solver's."""

    kind: Literal["fixed", "random", "sliding"]
    """Always the same steps, other ones in each iteration, or moving on from the noisiest."""
    size: PositiveInt
    """Steps in it."""
    start: Annotated[int, Field(ge=0)] = 0
    """Its first step, counted from 0 among those that can have noise (fixed, sliding)."""
    every: PositiveInt = 25
    """Iterations between moves (sliding)."""
    stride: PositiveInt = 1
    """Steps of a move (sliding); past the last place it starts over."""


@dataclass(frozen=True, config=STRICT)
class PrecisionConfig:
    """The dtype that the weights of each part are loaded and kept in; adapters are fp32, always."""

    network: Dtype = "fp32"
    """Of what is trained; fp32 where all of its weights are."""
    text_encoder: Dtype = "fp32"
    """Of every text encoder."""
    vae: Dtype = "fp32"
    """Of the autoencoder."""


@dataclass(frozen=True, config=STRICT)
class TinyVaeConfig:
    """A small decoder for the pictures that are scored in training; held-out samples, galleries and
    the saved model have the full autoencoder.
    """

    model: str
    """A folder in diffusers' format (`AutoencoderTiny`), or a hub id such as madebyollin/taesd."""
    audit_every: PositiveInt = 10
    """Iterations between audits, in which the samples are decoded and scored both ways; the first
    is one."""


@dataclass(frozen=True, config=STRICT)
class DiffusionPolicyConfig:
    """The denoising chain."""

    kind: Literal["diffusion"]
    """Which chain: `diffusion`."""
    model: str
    """`shapes` (embedded), a folder in diffusers' format, or a hub id."""
    sampler: Literal["ddim", "flow_sde", "cps", "dance_sde"] | None = None
    """The transition between latents; the family's first when omitted: ddim, or flow_sde."""
    num_steps: PositiveInt = 50
    """Denoising steps of a chain."""
    eta: NonNegativeFloat | None = None
    """Weight of the sampler's noise; when omitted 1 for ddim, 0.7 for flow_sde and cps, 0.3 for
    dance_sde, and 0 under `nft` and `awm`. At 0 no step is an action."""
    guidance_scale: NonNegativeFloat | None = None
    """As in diffusers: two branches, off at 1 and below, or what FLUX is told; when omitted 5 for
    U-Nets, 4.5 for SD3, 3.5 for FLUX."""
    guidance_interval: tuple[Share, Share] | None = None
    """Part of the chain whose steps have both branches, from 0, the noisiest, to 1: [0.2, 0.8] are
    the middle three fifths. The other steps run with the prompt alone, in training and held-out
    samples alike; all are guided when omitted."""
    shared_noise: bool = False
    """Begin all samples of a prompt in an iteration from the same noise, so that only their steps
    differ; held-out samples have their own."""
    window: WindowConfig | None = None
    """Train on a window of steps; on all when omitted."""
    trained_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the steps with noise that are trained, other ones in each iteration (DanceGRPO);
    under `nft` and `awm` of all steps' noise levels, other ones for each sample."""
    max_sequence_length: PositiveInt | None = None
    """Tokens of a prompt that T5 reads (SD3, FLUX); the pipeline's default when omitted."""
    resolution: PositiveInt | None = None
    """Pixels a side; the model's own when omitted."""
    precision: PrecisionConfig = PrecisionConfig()
    """Of the weights of each part; `train.mixed_precision` is of network passes."""
    attention: str | None = None
    """Back end of attention: native or xformers; eager on U-Nets; on FLUX flash, sage and what else
    diffusers' dispatcher knows, where names in `_hub` download code. As loaded when omitted."""
    compile: bool = False
    """Compile the network's repeated blocks: minutes at the start, and sampling takes the memory of
    a training pass."""
    offload: bool = False
    """Keep text encoders and autoencoder on the CPU while they are not needed: less memory, more
    time."""
    tiny_vae: TinyVaeConfig | None = None
    """Decode what is scored in training by a small autoencoder; by the model's own when omitted."""
    vae_tiling: bool = False
    """Decode large images tile by tile: less memory, and seams that one may see."""


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


@dataclass(frozen=True, config=STRICT)
class _Algorithm:
    """What all policy-gradient algorithms share."""

    forward_process: ClassVar[bool] = False
    """Whether it needs finished samples only, and noises them anew."""

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
    """Adapt `kl_coef` towards this KL (nats per action, mean over latent dimensions)."""
    kl_horizon: PositiveFloat = 10_000.0
    """Samples over which the adaptive coefficient moves."""

    @property
    def needs_means(self) -> bool:
        """Whether the means of steps are compared, and so recorded."""
        return False


@dataclass(frozen=True, config=STRICT)
class DdpoConfig(_Algorithm):
    """DDPO-IS: clipped importance sampling."""

    kind: Literal["ddpo"] = "ddpo"
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; 1e-4 when neither this nor `clip_nats` is given."""
    clip_nats: PositiveFloat | None = None
    """The same in nats of the whole action: divided by the number of latent dimensions."""


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
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; 1e-4 when neither this nor `clip_nats` is given."""
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
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""
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
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""
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
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""


@dataclass(frozen=True, config=STRICT)
class RwrConfig(_Algorithm):
    """Reward-weighted regression on the chain's own actions."""

    kind: Literal["rwr"] = "rwr"
    """`ddpo`, `ddpo_sf`, `grpo`, `rwr`, `nft` or `awm`."""
    temperature: PositiveFloat = 1.0
    """Weights are exp(advantage/temperature), scaled to mean 1."""


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
AlgorithmConfig = Annotated[
    DdpoConfig | DdpoSfConfig | GrpoConfig | RwrConfig | NftConfig | AwmConfig,
    Field(discriminator="kind"),
]


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
    """Most samples of a training pass per process; as many as make 32 rows of the network when
    omitted, where guidance makes two of each. Halved where memory runs out, as is
    `sample_batch_size`."""
    actions_per_pass: PositiveInt | None = None
    """Actions of a sample scored in one network pass; when omitted 1, or as many as make 32 rows
    where an update has few samples and `micro_batch_size` is omitted, too."""
    sample_batch_size: PositiveInt = 64
    """Most samples of a sampling pass per process."""
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


@dataclass(frozen=True, config=STRICT)
class CheckpointConfig:
    """When to save the whole state."""

    every: PositiveInt = 10
    """Iterations between checkpoints."""
    keep: PositiveInt = 2
    """Checkpoints kept, the newest."""


@dataclass(frozen=True, config=STRICT)
class Config:
    """One training run."""

    name: str
    """The run folder is <output_dir>/<name>."""
    policy: DiffusionPolicyConfig
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
    tracker: str = "none"
    """`none`, or a tracker that accelerate offers: tensorboard, wandb, …"""

    @property
    def run_folder(self) -> Path:
        """Where this run lives."""
        return self.output_dir / self.name


SCHEMA: TypeAdapter[Config] = TypeAdapter(Config)
