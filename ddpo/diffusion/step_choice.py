"""Which steps of an iteration's chain have noise, and which of those are trained.

Nothing is remembered: both follow from the iteration and the seed, so a resume finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.config.diffusion_policy import WindowConfig
from ddpo.errors import UserError

PerStep = Float[Tensor, " t"]

WINDOW, TRAINED = 1, 2
"""Streams of random numbers."""


@dataclass(frozen=True)
class StepChoice:
    """What the configuration says about the steps of a chain.

    Attributes:
        window: the steps that have noise; all that can when None.
        trained_share: part of the steps with noise that are trained, in (0, 1].
    """

    window: WindowConfig | None = None
    trained_share: float = 1.0

    def noisy(self, possible: PerStep, *, iteration: int, seed: int) -> PerStep:
        """1 for the steps with noise; the others are the plain solver's (MixGRPO, Li et al. 2025).

        Args:
            possible: 1 for the steps that can have noise.
            iteration: from 1.
            seed: of the run.

        Raises:
            UserError: there are none, or the window does not fit into them.
        """
        steps = possible.nonzero().flatten()
        if not len(steps):
            raise UserError(
                f"policy.num_steps: with {len(possible)} no step of this model's chain has noise, "
                f"so there is no action to train; take 2 or more"
            )
        if self.window is None:
            return possible
        first = _first_step(self.window, len(steps), iteration, seed)
        return _ones(possible, steps[first : first + self.window.size])

    def trained(self, noisy: PerStep, *, iteration: int, seed: int) -> PerStep:
        """1 for the steps that are trained, at least one (DanceGRPO, Xue et al. 2025).

        All chains of an iteration train the same steps, so that the others cost no network pass.
        """
        steps = noisy.nonzero().flatten()
        count = max(1, round(self.trained_share * len(steps)))
        order = np.random.default_rng([seed, iteration, TRAINED]).permutation(len(steps))
        return _ones(noisy, steps[torch.from_numpy(order[:count])])


def _first_step(window: WindowConfig, steps: int, iteration: int, seed: int) -> int:
    """Where the window begins, among the steps that can have noise."""
    places = steps - window.size + 1
    if window.start >= places:
        raise UserError(
            f"policy.window: {window.size} steps from step {window.start} on do not fit into the "
            f"{steps} steps of this chain that can have noise"
        )
    if window.kind == "random":
        return int(np.random.default_rng([seed, iteration, WINDOW]).integers(places))
    if window.kind == "sliding":
        return (window.start + (iteration - 1) // window.every * window.stride) % places
    return window.start


def _ones(like: PerStep, at: Tensor) -> PerStep:
    """1 at these steps, 0 elsewhere."""
    chosen = torch.zeros_like(like)
    chosen[at] = 1
    return chosen
