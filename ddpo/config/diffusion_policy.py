"""The keys of `policy` for the denoising chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass

from ddpo.config.types import STRICT, Dtype, Share
from ddpo.errors import UserError

if TYPE_CHECKING:
    from ddpo.config.schema import Config, EvaluationConfig


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

    modality: ClassVar[str] = "image"
    """What its samples are, in the word of `rewards`."""
    memory_savers: ClassVar[str] = "policy.offload: true, and a smaller policy.resolution"
    """Keys with which it needs less memory."""
    plain_attention: ClassVar[str] = "native"
    """The back end of attention that rounds least."""
    memory_is_estimated: ClassVar[bool] = True
    """Whether `ddpo config` can tell what a run needs."""

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
    the middle three fifths. The other steps run with the prompt alone; all are guided when
    omitted."""
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
    channels_last: bool = False
    """Lay the kernels of a U-Net's convolutions out with the channels of a pixel side by side; not
    with `adamw_8bit` for all weights, FSDP or DeepSpeed."""
    offload: bool = False
    """Keep text encoders and autoencoder on the CPU while they are not needed: less memory, more
    time."""
    tiny_vae: TinyVaeConfig | None = None
    """Decode what is scored in training by a small autoencoder; by the model's own when omitted."""
    vae_tiling: bool = False
    """Decode large images tile by tile: less memory, and seams that one may see."""

    @property
    def longest_chain(self) -> int:
        """Actions of a sample, at most."""
        return self.num_steps

    @property
    def most_actions_per_pass(self) -> int | None:
        """Actions of a sample that one network row can score; None for all of them."""
        return 1

    @property
    def rows_of_a_sample(self) -> int:
        """Of the network, in one pass: 2 with guidance, whose scale a family may choose."""
        return _rows(self.guidance_scale)

    def rows_of_a_heldout_sample(self, evaluation: EvaluationConfig) -> int:
        """The same of a sample of `evaluation`, which may have a scale of its own."""
        own = evaluation.guidance_scale
        return _rows(self.guidance_scale if own is None else own)

    @property
    def audit_every(self) -> int | None:
        """Iterations between audits of what the rewards see; None for no audit."""
        return self.tiny_vae and self.tiny_vae.audit_every

    def contradictions(self, config: Config) -> list[str]:
        """One line for each key of this section that another key rules out."""
        algorithm, problems = config.algorithm, []
        if algorithm.critic is not None:
            problems.append(
                f"algorithm.kind: {algorithm.kind} has a critic, which a denoising chain has not; "
                f"take ddpo or grpo"
            )
        elif algorithm.kl_in == "reward" or algorithm.entropy_coef:
            key = "kl_in: reward" if algorithm.kl_in == "reward" else "entropy_coef"
            problems.append(f"algorithm.{key} is for policy.kind: text; leave the key out")
        if algorithm.forward_process and self.window is not None:
            problems.append(
                f"policy.window: {algorithm.kind} trains no step of the chain; leave the key out"
            )
        if algorithm.forward_process and self.shared_noise:
            problems.append(
                f"policy.shared_noise: true would make all samples of a prompt the same, since the "
                f"chain of {algorithm.kind} has no noise but that; leave the key out"
            )
        for section, part in (("policy", self), ("evaluation", config.evaluation)):
            interval = part.guidance_interval
            if interval is not None and interval[0] >= interval[1]:
                problems.append(
                    f"{section}.guidance_interval: [{interval[0]:g}, {interval[1]:g}] is empty; "
                    f"give where it begins and then where it ends, such as [0.2, 0.8]"
                )
        if self.channels_last and config.lora is None and config.train.optimizer == "adamw_8bit":
            problems.append(
                "policy.channels_last: true does not outlast an update of train.optimizer: "
                "adamw_8bit; take adamw, or false"
            )
        if self.eta == 0 and not algorithm.forward_process:
            problems.append(
                "policy.eta: 0 makes every step deterministic, so there is no action to train"
            )
        problems += [
            f"evaluation.{key}: {value} is for policy.kind: text; leave the key out"
            for key in ("temperature", "top_k", "top_p", "greedy")
            if (value := getattr(config.evaluation, key)) is not None
        ]
        return problems


def _rows(guidance_scale: float | None) -> int:
    """Of a sample with guidance of this scale, whose model is not known yet: FLUX makes one."""
    return 2 if guidance_scale is None or guidance_scale > 1 else 1


def denoising(config: Config) -> DiffusionPolicyConfig:
    """The policy section of a run over the denoising chain.

    Raises:
        UserError: it is of another kind.
    """
    if not isinstance(config.policy, DiffusionPolicyConfig):
        raise UserError(
            f"policy.kind: {config.policy.kind}: this is for diffusion models, and {config.name} "
            f"is a run of another kind"
        )
    return config.policy
