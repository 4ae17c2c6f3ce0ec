"""How a chain of a family is run: what the configuration leaves open comes from the family, and
what the model cannot do is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ddpo.config.diffusion_policy import denoising
from ddpo.config.schema import Config
from ddpo.diffusion.family import Family
from ddpo.diffusion.schedule import Schedule
from ddpo.errors import UserError

DEFAULT_ETA = {"ddim": 1.0, "flow_sde": 0.7, "cps": 0.7, "dance_sde": 0.3}
"""As published with DDPO, Flow-GRPO and DanceGRPO; CPS takes Flow-GRPO's."""

LARGEST_ETA = {"ddim": 1.0, "cps": 1.0}
"""Above this the sampler's own noise level would be exceeded."""


@dataclass(frozen=True)
class ChainSettings:
    """How a chain is run.

    Attributes:
        sampler: name of the transition.
        num_steps: T, 1 or more.
        eta: weight of the sampler's noise, 0 or more: DDIM's eta, the a of Flow-GRPO and CPS,
            Dance's η.
        guidance_scale: as in diffusers.
        guidance_interval: which part of the steps has both branches, where the scale asks for them.
        resolution: pixels a side; None for the model's own.
        section: of the configuration that says so.
    """

    sampler: str
    num_steps: int
    eta: float
    guidance_scale: float
    guidance_interval: tuple[float, float]
    resolution: int | None
    section: str


@dataclass(frozen=True)
class Chain:
    """A chain of one family: its steps and its guidance.

    Attributes:
        schedule: its T steps.
        guidance_scale: as in diffusers.
        guided: of each step, whether the network runs with and without the prompt, and both are
            combined.
    """

    schedule: Schedule
    guidance_scale: float
    guided: tuple[bool, ...]

    def on(self, device: torch.device) -> Chain:
        """The same chain with its schedule on a device."""
        return replace(self, schedule=self.schedule.on(device))

    @classmethod
    def of(cls, family: Family, settings: ChainSettings, shape: tuple[int, int, int]) -> Chain:
        """The chain of these settings over latents of this shape.

        Raises:
            UserError: the model's scheduler cannot space the steps, or none is in the interval of
                guidance.
        """
        try:
            schedule = family.schedule(settings.sampler, settings.num_steps, settings.eta, shape)
            guided = _guided_steps(settings, _has_two_branches(family, settings))
        except UserError as error:
            raise UserError(f"{settings.section}.{error}") from error
        return cls(schedule, settings.guidance_scale, guided)


def training_chain(config: Config, family: Family) -> ChainSettings:
    """The chain that is trained.

    Raises:
        UserError: a sampler, a guidance or a resolution that the model does not have, or more noise
            than the sampler takes.
    """
    policy = denoising(config)
    _check_resolution(family, policy.resolution)
    sampler = policy.sampler or family.samplers[0]
    if sampler not in family.samplers:
        raise UserError(
            f"policy.sampler: {sampler} is not for {policy.model}; it has "
            f"{', '.join(family.samplers)}"
        )
    default = 0.0 if config.algorithm.forward_process else DEFAULT_ETA[sampler]
    eta = default if policy.eta is None else policy.eta
    scale = family.guidance_scale if policy.guidance_scale is None else policy.guidance_scale
    interval = policy.guidance_interval or (0.0, 1.0)
    chain = ChainSettings(
        sampler, policy.num_steps, eta, scale, interval, policy.resolution, "policy"
    )
    _check(family, chain)
    _check_interval(policy.guidance_interval, family, chain, policy.model)
    return chain


def heldout_chain(config: Config, family: Family, trained: ChainSettings) -> ChainSettings:
    """The chain of held-out samples: the trained one, but for what `evaluation` says.

    Raises:
        UserError: see `training_chain`.
    """
    given = config.evaluation
    chain = ChainSettings(
        trained.sampler,
        given.num_steps or trained.num_steps,
        trained.eta if given.eta is None else given.eta,
        trained.guidance_scale if given.guidance_scale is None else given.guidance_scale,
        given.guidance_interval or trained.guidance_interval,
        trained.resolution,
        "evaluation",
    )
    _check(family, chain)
    _check_interval(given.guidance_interval, family, chain, config.policy.model)
    return chain


def _has_two_branches(family: Family, chain: ChainSettings) -> bool:
    """Whether a chain is guided by a second branch without the prompt."""
    return family.guidance == "classifier_free" and chain.guidance_scale > 1


def _guided_steps(chain: ChainSettings, two_branches: bool) -> tuple[bool, ...]:
    """Of each step, whether it has both branches; an interval without a step is refused."""
    first, last = chain.guidance_interval
    places = [step / chain.num_steps for step in range(chain.num_steps)]
    guided = tuple(two_branches and first <= place < last for place in places)
    if two_branches and not any(guided):
        raise UserError(
            f"num_steps: none of {chain.num_steps} steps begins in the guidance_interval "
            f"[{first:g}, {last:g}]; take more, or a wider interval"
        )
    return guided


def _check(family: Family, chain: ChainSettings) -> None:
    """Refuse noise and guidance that the model does not have."""
    largest = LARGEST_ETA.get(chain.sampler)
    if largest is not None and chain.eta > largest:
        raise UserError(
            f"{chain.section}.eta: {chain.eta:g} is more than {chain.sampler} takes, at most "
            f"{largest:g}"
        )
    if family.guidance == "none" and chain.guidance_scale > 1:
        raise UserError(
            f"{chain.section}.guidance_scale: {chain.guidance_scale:g} for a model that was "
            f"distilled to do without guidance; leave the key out"
        )


def _check_interval(
    given: tuple[float, float] | None, family: Family, chain: ChainSettings, model: str
) -> None:
    """Refuse an interval where there is nothing to leave out."""
    if given is not None and not _has_two_branches(family, chain):
        raise UserError(
            f"{chain.section}.guidance_interval: no step of this chain has two branches, with a "
            f"scale of {chain.guidance_scale:g} on {model}; leave the key out"
        )


def _check_resolution(family: Family, resolution: int | None) -> None:
    """Refuse a resolution that latents cannot have, or that the network cannot place."""
    if resolution is None:
        return
    unit, largest = family.resolution_unit, family.largest_resolution
    if resolution % unit:
        raise UserError(
            f"policy.resolution: {resolution} is not a multiple of {unit}; the nearest is "
            f"{max(1, round(resolution / unit)) * unit}"
        )
    if largest is not None and resolution > largest:
        raise UserError(
            f"policy.resolution: {resolution} is more than this model has positions for; at most "
            f"{largest}"
        )
