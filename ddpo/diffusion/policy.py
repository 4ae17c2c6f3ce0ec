"""The denoising chain as a policy: an action is one denoising step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from diffusers.training_utils import _collate_lora_metadata
from jaxtyping import Float, Int
from peft import get_peft_model_state_dict
from torch import Tensor, nn

from ddpo.config.schema import Config, DiffusionPolicyConfig
from ddpo.diffusion.loading import load_family
from ddpo.diffusion.schedule import DdimSchedule
from ddpo.diffusion.stable_diffusion import StableDiffusion
from ddpo.diffusion.transitions import Gaussian
from ddpo.errors import UserError
from ddpo.lora import adapters_off, add_lora
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Evaluation, Trajectory


class DiffusionPolicy:
    """A diffusion model as a `Policy`; see there for the contract.

    The record of a trajectory is `latents [B, T+1, c, h, w]` fp32: each state and, after it, what
    was done.
    """

    def __init__(
        self,
        family: StableDiffusion,
        config: DiffusionPolicyConfig,
        *,
        reference: nn.Module | None = None,
        uses_lora: bool = False,
        autocast: torch.dtype | None = None,
    ):
        """Wrap a family's pipeline.

        Args:
            family: the loaded model.
            config: how its chain is run.
            reference: a frozen copy of the network, for KL under full fine-tuning.
            uses_lora: whether the network carries adapters; off, they are the reference.
            autocast: dtype that network passes are autocast to.
        """
        self.family = family
        self.network = family.network
        self.network_passes = 0
        self.schedule = DdimSchedule.from_scheduler(family.scheduler, config.num_steps, config.eta)
        self._shape = family.latent_shape(config.resolution)
        self._guidance_scale = config.guidance_scale
        self._reference = reference
        self._uses_lora = uses_lora
        self._autocast = autocast
        self._embeddings: dict[str, Tensor] = {}

    @property
    def action_dimensions(self) -> int:
        """Latent dimensions of one sample."""
        return self._shape[0] * self._shape[1] * self._shape[2]

    @torch.no_grad()
    def sample(self, prompts: Sequence[str], generator: RowGenerator) -> Trajectory:
        """Run the chain once per prompt; noise 0 is the initial latents, noise s + 1 that of step
        s.
        """
        device, count = self._device, len(prompts)
        latents = generator.normal(0, self._shape).to(device)
        states, log_probs = [latents], []
        for step in range(len(self.schedule)):
            steps = torch.full((count,), step)
            gaussian = self._transition(self.network, latents, steps, prompts)
            latents = gaussian.sample(generator.normal(step + 1, self._shape))
            states.append(latents)
            log_probs.append(gaussian.log_prob(latents))
        return Trajectory(
            prompts=list(prompts),
            log_probs=torch.stack(log_probs, 1),
            mask=self.schedule.mask().repeat(count, 1).to(device),
            record={"latents": torch.stack(states, 1)},
            outputs=self.family.decode(latents),
        )

    def evaluate(
        self, trajectory: Trajectory, actions: Int[Tensor, " a"], *, with_kl: bool = False
    ) -> Evaluation:
        """Score these steps again, all of them in one network pass."""
        rows, count = len(trajectory), len(actions)
        states = trajectory.record["latents"]
        before, after = (
            states[:, a.to(states.device)].flatten(0, 1) for a in (actions, actions + 1)
        )
        prompts = [prompt for prompt in trajectory.prompts for _ in range(count)]
        steps = actions.cpu().repeat(rows)
        gaussian = self._transition(self.network, before, steps, prompts)
        kl = gaussian.kl(self._reference_transition(before, steps, prompts)) if with_kl else None
        return Evaluation(
            log_probs=gaussian.log_prob(after).reshape(rows, count),
            kl=None if kl is None else kl.reshape(rows, count),
        )

    def trained_state(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name."""
        named = extract_model_from_parallel(self.network).named_parameters()
        return {name: parameter.detach() for name, parameter in named if parameter.requires_grad}

    @torch.no_grad()
    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a `trained_state` into the network, in place.

        Raises:
            KeyError: the names differ.
        """
        own = self.trained_state()
        if own.keys() != state.keys():
            raise KeyError(f"trained parameters differ: {sorted(own.keys() ^ state.keys())[:3]} …")
        for name, parameter in own.items():
            parameter.copy_(state[name])

    def save_pretrained(self, folder: Path) -> None:
        """Write diffusers' own format: a LoRA (`load_lora_weights`), or the pipeline
        (`from_pretrained`).
        """
        network: Any = extract_model_from_parallel(self.network)
        if not self._uses_lora:
            self.family.pipeline.save_pretrained(folder)
            return
        layers: Any = get_peft_model_state_dict(network)
        self.family.pipeline_class.save_lora_weights(
            folder,
            unet_lora_layers=layers,
            **_collate_lora_metadata({"unet": network}),
        )

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _transition(
        self,
        network: nn.Module,
        latents: Float[Tensor, "b c h w"],
        steps: Int[Tensor, " b"],
        prompts: Sequence[str],
    ) -> Gaussian:
        """The Gaussian of each row's step; both branches of guidance share one network pass."""
        inputs, timesteps = latents, self.schedule.timesteps[steps].to(latents.device)
        conditioning = self._embed(prompts)
        guided = self._guidance_scale > 1
        if guided:
            inputs, timesteps = torch.cat([inputs, inputs]), torch.cat([timesteps, timesteps])
            conditioning = torch.cat([self._embed([""]).expand_as(conditioning), conditioning])
        dtype = next(network.parameters()).dtype
        with self._autocast_context():
            output = self.family.predict(
                network, inputs.to(dtype), timesteps, conditioning.to(dtype)
            )
        self.network_passes += len(inputs)
        if guided:
            unconditional, conditional = output.to(torch.promote_types(dtype, torch.float32)).chunk(
                2
            )
            output = unconditional + self._guidance_scale * (conditional - unconditional)
        return self.schedule.transition(latents, output, steps)

    @torch.no_grad()
    def _reference_transition(
        self, latents: Float[Tensor, "b c h w"], steps: Int[Tensor, " b"], prompts: Sequence[str]
    ) -> Gaussian:
        """The same step under the reference policy: adapters off, or the frozen copy."""
        if self._reference is not None:
            return self._transition(self._reference, latents, steps, prompts)
        network = extract_model_from_parallel(self.network)
        with adapters_off(network):
            return self._transition(network, latents, steps, prompts)

    def _embed(self, prompts: Sequence[str]) -> Float[Tensor, "b tokens width"]:
        """Embeddings of prompts; each distinct prompt is encoded once in the life of the policy."""
        missing = [p for p in dict.fromkeys(prompts) if p not in self._embeddings]
        if missing:
            self._embeddings.update(zip(missing, self.family.embed(missing), strict=True))
        return torch.stack([self._embeddings[prompt] for prompt in prompts])

    def _autocast_context(self) -> Any:
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._autocast)


def build_diffusion_policy(
    config: Config, device: torch.device, autocast: torch.dtype | None
) -> DiffusionPolicy:
    """Load the model that a configuration names, and make ready what is trained.

    Raises:
        UserError: the model cannot be loaded, the LoRA targets match nothing, no step of the chain
            has noise, or latents cannot have the resolution.
    """
    family = load_family(config.policy.model).to(device)
    _check_shape(family, config.policy.resolution)
    reference = None
    if config.lora is not None:
        add_lora(family.network, config.lora)
    else:
        if config.algorithm.kl_coef > 0:
            reference = copy.deepcopy(family.network)
        family.network.requires_grad_(True)
    if config.train.gradient_checkpointing:
        network: Any = family.network
        network.enable_gradient_checkpointing()
    policy = DiffusionPolicy(
        family,
        config.policy,
        reference=reference,
        uses_lora=config.lora is not None,
        autocast=autocast,
    )
    if not policy.schedule.mask().any():
        raise UserError(
            f"policy.num_steps: with {config.policy.num_steps} no step of this model's chain has "
            f"noise, so there is no action to train; take 2 or more"
        )
    return policy


def _check_shape(family: StableDiffusion, resolution: int | None) -> None:
    """Refuse a resolution that latents cannot have.

    Raises:
        UserError: names the nearest one.
    """
    unit = family.pixels_per_latent
    if resolution is not None and resolution % unit:
        raise UserError(
            f"policy.resolution: {resolution} is not a multiple of {unit}; the nearest is "
            f"{max(1, round(resolution / unit)) * unit}"
        )
