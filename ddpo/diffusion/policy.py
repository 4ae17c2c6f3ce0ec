"""The denoising chain as a policy: an action is one denoising step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from diffusers.training_utils import _collate_lora_metadata
from jaxtyping import Float, Int
from peft import get_peft_model_state_dict
from torch import Tensor, nn

from ddpo.diffusion.chain import Chain, ChainSettings
from ddpo.diffusion.conditioning import Conditioner
from ddpo.diffusion.family import Family
from ddpo.diffusion.step_choice import StepChoice
from ddpo.diffusion.transitions import Gaussian
from ddpo.dtypes import autocast_context
from ddpo.export.lora_file import name_base_model
from ddpo.lora import adapters_off
from ddpo.randomness import RowGenerator
from ddpo.sharding import load_trained_tensors, trained_tensors
from ddpo.trajectory import Evaluation, Trajectory
from ddpo.transfer import sent


class DiffusionPolicy:
    """A diffusion model as a `Policy`; see there for the contract.

    The record of a trajectory is `latents [B, T+1, c, h, w]` fp32: each state and, after it, what
    was done; and, where asked for, `means [B, T, c, h, w]` of the policy that sampled.
    """

    def __init__(
        self,
        family: Family,
        trained: ChainSettings,
        heldout: ChainSettings,
        *,
        choice: StepChoice | None,
        reference: nn.Module | None = None,
        uses_lora: bool = False,
        autocast: torch.dtype | None = None,
        keep_means: bool = False,
        compiled: bool = False,
        shared_noise: bool = False,
    ):
        """Wrap a family's pipeline.

        Args:
            family: the loaded model.
            trained: how its chain is run.
            heldout: how the chain of held-out samples is run.
            choice: which steps have noise, and which are trained; None where the chain is only
                sampled, all its steps as the schedule has them.
            reference: a frozen copy of the network, for KL under full fine-tuning.
            uses_lora: whether the network carries adapters; off, they are the reference.
            autocast: dtype that network passes are autocast to.
            keep_means: record the mean of each step too, for objectives that compare it.
            compiled: whether the network has blocks that are compiled at their first pass.
            shared_noise: whether all samples of a prompt, but held-out ones, begin from the same
                noise.

        Raises:
            UserError: the model's scheduler cannot space the steps, none of them has noise, or the
                window does not fit.
        """
        self.family = family
        self.network = family.network
        self.network_passes = 0
        self._shape = family.latent_shape(trained.resolution)
        self.trained, self.heldout = (
            Chain.of(family, settings, self._shape) for settings in (trained, heldout)
        )
        self._chains = {False: self.trained, True: self.heldout}
        self._choice = choice
        self.reference_network = reference
        self._uses_lora = uses_lora
        self._autocast = autocast
        self._keep_means = keep_means
        self._compiled = compiled
        self._shared_noise = shared_noise
        self._conditioner = Conditioner(family)
        if choice is not None:  # refuse now what is impossible
            choice.noisy(self.trained.schedule.mask(), iteration=1, seed=0)

    @property
    def action_dimensions(self) -> int:
        """Latent dimensions of one sample."""
        return math.prod(self._shape)

    def check_prompts(self, prompts: Sequence[str], key: str) -> None:
        """Nothing is refused: diffusers cuts off what a text encoder cannot read, and says so."""

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[str], generator: RowGenerator, *, heldout: bool = False
    ) -> Trajectory:
        """Run the chain once per prompt; noise 0 is the initial latents, noise s + 1 that of step
        s.
        """
        first = generator.of_prompts() if self._shared_noise and not heldout else generator
        device, count = self.device, len(prompts)
        noisy, trained = self._steps_of(generator, heldout=heldout)
        chain = self.chain(heldout=heldout)
        latents = sent(first.normal(0, self._shape), device)
        states, means, log_probs = [latents], [], []
        for step in range(len(chain.schedule)):
            steps = torch.full((count,), step, device=device)
            guided = range(count) if chain.guided[step] else ()
            gaussian = self._transition(
                self.network, chain, latents, steps, noisy[steps], prompts, guided
            )
            latents = gaussian.sample(sent(generator.normal(step + 1, self._shape), device))
            states.append(latents)
            log_probs.append(gaussian.log_prob(latents))
            means += [gaussian.mean] if self._keep_means else []
        record = {"latents": torch.stack(states, 1)}
        record |= {"means": torch.stack(means, 1)} if means else {}
        return Trajectory(
            prompts=list(prompts),
            log_probs=torch.stack(log_probs, 1),
            mask=trained.repeat(count, 1),
            record=record,
            outputs=self.family.decode(latents, to_score=not heldout),
        )

    def evaluate(
        self, trajectory: Trajectory, actions: Int[Tensor, " a"], *, with_kl: bool = False
    ) -> Evaluation:
        """Score these steps again, all of them in one network pass."""
        rows, count = len(trajectory), len(actions)
        states, chain = trajectory.record["latents"], self.chain()
        guided = [row for row, step in enumerate(actions.tolist() * rows) if chain.guided[step]]
        actions = sent(actions, states.device)
        before, after = (states[:, a].flatten(0, 1) for a in (actions, actions + 1))
        prompts = [prompt for prompt in trajectory.prompts for _ in range(count)]
        steps, noisy = actions.repeat(rows), trajectory.mask[:, actions].flatten()
        asked = (chain, before, steps, noisy, prompts, guided)
        gaussian = self._transition(self.network, *asked)
        kl = gaussian.kl(self._reference_transition(*asked)) if with_kl else None
        old_means = trajectory.record.get("means")
        shift = None
        if old_means is not None:
            moved = gaussian.mean - old_means[:, actions].flatten(0, 1)
            shift = moved.square().flatten(1).mean(1).reshape(rows, count)
        return Evaluation(
            log_probs=gaussian.log_prob(after).reshape(rows, count),
            kl=None if kl is None else kl.reshape(rows, count),
            squared_mean_shift=shift,
            step_scale=gaussian.std.reshape(rows, count),
        )

    def decoded_fully(self, trajectory: Trajectory) -> Float[Tensor, "b 3 height width"]:
        """Finished samples as held-out ones are decoded, whatever decoder their rewards saw."""
        return self.family.decode(sent(trajectory.record["latents"][:, -1], self.device))

    def trained_state(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name."""
        return trained_tensors(self.network)

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a `trained_state` into the network, in place.

        Raises:
            KeyError: the names differ.
        """
        load_trained_tensors(self.network, state)

    def save_pretrained(
        self, folder: Path, state: Mapping[str, Tensor], base_model: str | None = None
    ) -> None:
        """Write diffusers' own format: a LoRA (`load_lora_weights`), or the pipeline
        (`from_pretrained`).
        """
        if not self._uses_lora:
            self.family.save_pretrained(folder, state)
            return
        network: Any = extract_model_from_parallel(self.network)
        name = self.family.network_name
        self.family.pipeline.save_lora_weights(
            folder,
            **{f"{name}_lora_layers": get_peft_model_state_dict(network, dict(state))},
            **_collate_lora_metadata({name: network}),
        )
        if base_model is not None:
            name_base_model(folder, base_model)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def chain(self, *, heldout: bool = False) -> Chain:
        """The chain of training or of held-out samples, with its numbers where the network is."""
        chain = self._chains[heldout]
        if chain.schedule.timesteps.device != self.device:
            chain = self._chains[heldout] = chain.on(self.device)
        return chain

    def _steps_of(
        self, generator: RowGenerator, *, heldout: bool
    ) -> tuple[Float[Tensor, " t"], Float[Tensor, " t"]]:
        """1 for the steps that have noise, and 1 for those that are trained."""
        chain = self.heldout if heldout else self.trained
        noisy = trained = chain.schedule.mask()
        if not heldout and self._choice is not None:
            when = {"iteration": generator.iteration, "seed": generator.seed}
            noisy = self._choice.noisy(noisy, **when)
            trained = self._choice.trained(noisy, **when)
        return sent(noisy, self.device), sent(trained, self.device)

    def _transition(
        self,
        network: nn.Module,
        chain: Chain,
        latents: Float[Tensor, "b c h w"],
        steps: Int[Tensor, " b"],
        noisy: Float[Tensor, " b"],
        prompts: Sequence[str],
        guided: Sequence[int],
    ) -> Gaussian:
        """The Gaussian of each row's step."""
        output = self.predict(network, chain, latents, steps, prompts, guided)
        return chain.schedule.transition(latents, output, steps, noisy)

    def predict(
        self,
        network: nn.Module,
        chain: Chain,
        latents: Float[Tensor, "b c h w"],
        steps: Int[Tensor, " b"],
        prompts: Sequence[str],
        guided: Sequence[int] = (),
    ) -> Float[Tensor, "b c h w"]:
        """What the network says at each row's step of the chain, in fp32 or better. Guided rows
        have a second branch, without the prompt, in the same pass.
        """
        inputs, timesteps = latents, chain.schedule.timesteps[steps]
        if guided:
            rows = _selection(guided, of=latents)
            inputs = torch.cat([inputs[rows], inputs])
            timesteps = torch.cat([timesteps[rows], timesteps])
            conditioning = self._conditioner.both_branches(prompts, len(guided))
        else:
            rows, conditioning = None, self._conditioner.of(prompts)
        dtype = next(network.parameters()).dtype
        conditioning = {name: values.to(dtype) for name, values in conditioning.items()}
        with_graph = torch.is_grad_enabled()
        passes = autocast_context(self.device, self._autocast)
        # without gradients torch would compile another graph, which rounds differently
        with passes, torch.set_grad_enabled(with_graph or self._compiled):
            output = self.family.predict(
                network, inputs.to(dtype), timesteps, conditioning, chain.guidance_scale
            )
        output = output if with_graph else output.detach()
        self.network_passes += len(inputs)
        output = output.to(torch.promote_types(dtype, torch.float32))
        if rows is None:
            return output
        unconditional, output = output.split([len(guided), len(prompts)])
        conditional = output[rows]
        combined = unconditional + chain.guidance_scale * (conditional - unconditional)
        return combined if len(guided) == len(output) else output.index_copy(0, rows, combined)

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """The network before training: the frozen copy, or adapters off until the end."""
        if self.reference_network is not None:
            yield self.reference_network
            return
        network = extract_model_from_parallel(self.network)
        with adapters_off(network):
            yield network

    @torch.no_grad()
    def _reference_transition(self, *asked: Any) -> Gaussian:
        """The same step under the reference policy."""
        with self.reference() as network:
            return self._transition(network, *asked)


def _selection(rows: Sequence[int], *, of: Tensor) -> Any:
    """An index of these rows: nothing is copied where they are all."""
    if len(rows) == len(of):
        return slice(None)
    return sent(torch.tensor(rows), of.device)
