"""Training on the forward process: finished samples are noised anew, and an action is one noise
level at which the velocity is matched.

How a sample came about does not matter, so that any solver will do, without noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpo.diffusion.flow_schedule import FlowSchedule
from ddpo.diffusion.old_policy import ENTERED, PREFIX, OldPolicy
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Evaluation, Trajectory
from ddpo.transfer import sent


@final
class ForwardProcessPolicy:
    """A flow-matching model as a `Policy` over noise levels; see there for the contract.

    The `log_prob` of an action is −‖v − u‖², a mean over latent dimensions, where u = ε − x0 is the
    velocity from a finished sample x0 to the noise ε drawn for this level σ, and v what the network
    says at x0 + σu. But for a constant it is that of a Gaussian around v of variance ½, whose exact
    KL to another is ‖v − v_ref‖². Only the conditional branch of guidance is trained.

    The record of a trajectory is `latents [B, c, h, w]`, the finished samples; `steps [B, A]`,
    which of the chain's levels; `noise [B, A, c, h, w]`; and, where an old policy samples,
    `velocities [B, A, c, h, w]`, what it said. Everything is fp32 but the steps.
    """

    def __init__(self, policy: DiffusionPolicy, share: float, old: OldPolicy | None = None):
        """Train what `policy` trains.

        Args:
            policy: samples, and calls the network.
            share: part of the chain's levels that each sample is noised to, in (0, 1].
            old: the policy that samples, where it is not this one.

        Raises:
            UserError: the model is not a flow-matching one.
        """
        schedule = policy.trained.schedule
        if not isinstance(schedule, FlowSchedule):
            raise UserError(
                "algorithm.kind: nft and awm are for flow-matching models (SD3, FLUX), and this "
                "one is not; take grpo or ddpo"
            )
        self._policy = policy
        self._old = old
        self._steps = len(schedule)
        self._levels = max(1, round(share * self._steps))

    @property
    def network(self) -> nn.Module:
        """See `Policy`."""
        return self._policy.network

    @network.setter
    def network(self, network: nn.Module) -> None:
        self._policy.network = network

    @property
    def reference_network(self) -> nn.Module | None:
        """See `Policy`."""
        return self._policy.reference_network

    @property
    def network_passes(self) -> int:
        """See `Policy`."""
        return self._policy.network_passes

    @network_passes.setter
    def network_passes(self, passes: int) -> None:
        self._policy.network_passes = passes

    @property
    def action_dimensions(self) -> int:
        """Latent dimensions of one sample."""
        return self._policy.action_dimensions

    def check_prompts(self, prompts: Sequence[str], key: str) -> None:
        """See `Policy`."""
        self._policy.check_prompts(prompts, key)

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[str], generator: RowGenerator, *, heldout: bool = False
    ) -> Trajectory:
        """Run the chain, then noise what came out: with T steps of the chain, noise T + 1 + k is
        that of level k, and the levels' order is drawn after those of all T levels.
        """
        if heldout:
            return self._policy.sample(prompts, generator, heldout=True)
        old = self._old
        with nullcontext() if old is None else old.in_place(generator.iteration):
            chain = self._policy.sample(prompts, generator)
            latents, steps = chain.record["latents"][:, -1], self._draw_steps(generator)
            record = {"latents": latents, "steps": sent(steps, latents.device)}
            shape, first = latents.shape[1:], self._steps + 1
            noise = [generator.normal(first + level, shape) for level in range(self._levels)]
            record["noise"] = sent(torch.stack(noise, 1), latents.device).to(latents)
            log_probs, velocities = [], []
            for column in torch.arange(self._levels, device=latents.device).split(1):
                velocity = self._velocity(self.network, record, column, prompts)
                log_probs.append(-_mean_square(velocity - _target(record, column)))
                velocities.append(velocity)
        if old is not None:
            record["velocities"] = torch.cat(velocities, 1)
        stored = torch.cat(log_probs, 1)
        return Trajectory(list(prompts), stored, torch.ones_like(stored), record, chain.outputs)

    def evaluate(
        self, trajectory: Trajectory, actions: Int[Tensor, " a"], *, with_kl: bool = False
    ) -> Evaluation:
        """Match the velocity at these levels again, all of them in one network pass."""
        record, prompts = trajectory.record, trajectory.prompts
        columns = sent(actions, record["noise"].device)
        velocity = self._velocity(self.network, record, columns, prompts)
        error = velocity - _target(record, columns)
        old_error = kl = None
        if with_kl:
            with torch.no_grad(), self._policy.reference() as network:
                reference = self._velocity(network, record, columns, prompts)
            kl = _mean_square(velocity - reference)
        if "velocities" in record:
            old_error = record["velocities"][:, columns] - _target(record, columns)
        return Evaluation(
            log_probs=-_mean_square(error),
            kl=kl,
            step_scale=self._sigmas[record["steps"][:, columns]],
            velocity_error=None if old_error is None else error,
            old_velocity_error=old_error,
        )

    def decoded_fully(self, trajectory: Trajectory) -> Float[Tensor, "b 3 height width"]:
        """Finished samples as held-out ones are decoded, whatever decoder their rewards saw."""
        latents = trajectory.record["latents"][:, None]
        return self._policy.decoded_fully(replace(trajectory, record={"latents": latents}))

    def trained_state(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name, and those of the old policy."""
        old = {} if self._old is None else self._old.state()
        return {**self._policy.trained_state(), **old}

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a `trained_state` into the network and the old policy, in place.

        Raises:
            KeyError: the names differ.
        """
        if self._old is not None:
            self._old.load_state(state)
        self._policy.load_trained_state(_without_old(state))

    def save_pretrained(
        self, folder: Path, state: Mapping[str, Tensor], base_model: str | None = None
    ) -> None:
        """See `Policy`; without the old policy."""
        self._policy.save_pretrained(folder, _without_old(state), base_model)

    def _draw_steps(self, generator: RowGenerator) -> Int[Tensor, "b a"]:
        """Which steps' levels each row is noised to: all different, in an order of its own."""
        first = 2 * self._steps + 1
        draws = [generator.uniform(first + step) for step in range(self._steps)]
        return torch.stack(draws, 1).argsort(1)[:, : self._levels]

    @property
    def _sigmas(self) -> Float[Tensor, " t"]:
        """Noise levels of the chain's steps."""
        return cast(FlowSchedule, self._policy.chain().schedule).sigma

    def _velocity(
        self,
        network: nn.Module,
        record: Mapping[str, Tensor],
        columns: Int[Tensor, " a"],
        prompts: Sequence[str],
    ) -> Float[Tensor, "b a *latent"]:
        """What the network says at these levels of each sample."""
        latents, count = record["latents"], len(columns)
        steps = record["steps"][:, columns].flatten()
        sigma = self._sigmas[steps].to(latents.dtype).view(-1, 1, 1, 1)
        noisy = latents.repeat_interleave(count, 0).lerp(
            record["noise"][:, columns].flatten(0, 1), sigma
        )
        velocity = self._policy.predict(
            network,
            self._policy.chain(),
            noisy,
            steps,
            [prompt for prompt in prompts for _ in range(count)],
        )
        return velocity.unflatten(0, (-1, count))


def _without_old(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a `trained_state` is the network's."""
    return {k: v for k, v in state.items() if not k.startswith(PREFIX) and k != ENTERED}


def _target(
    record: Mapping[str, Tensor], columns: Int[Tensor, " a"]
) -> Float[Tensor, "b a *latent"]:
    """The velocity to match, ε − x0."""
    return record["noise"][:, columns] - record["latents"][:, None]


def _mean_square(values: Float[Tensor, "b a *latent"]) -> Float[Tensor, "b a"]:
    return values.square().flatten(2).mean(2)
