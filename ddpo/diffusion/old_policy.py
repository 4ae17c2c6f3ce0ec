"""The policy that samples where the one being trained does not: a moving average of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from ddpo.sharding import placed_like
from ddpo.trajectory import Policy

PREFIX = "old."
ENTERED = "old_entered"


@final
class OldPolicy:
    """A copy of what is trained, which moves once an iteration: θ_old ← η·θ_old + (1−η)·θ.

    η = min(growth · i, largest) after i iterations (DiffusionNFT, Zheng et al. 2025), so in the
    first iteration the policy itself samples.
    """

    def __init__(self, policy: Policy, largest_decay: float, decay_growth: float):
        """Copy what `policy` trains.

        Args:
            policy: the one to follow.
            largest_decay: in [0, 1).
            decay_growth: of one iteration, 0 or more.
        """
        self._policy = policy
        self._largest_decay = largest_decay
        self._decay_growth = decay_growth
        self._weights = {name: t.clone() for name, t in policy.trained_state().items()}
        self._entered = 0

    @contextmanager
    def in_place(self, iteration: int) -> Iterator[None]:
        """Inside, the policy bears the weights that sample in this iteration, from 1.

        Nobody announces an iteration: the first to sample in it moves them.
        """
        own = {name: t.clone() for name, t in self._policy.trained_state().items()}
        if iteration != self._entered:
            decay = min(self._decay_growth * (iteration - 1), self._largest_decay)
            self._weights = {
                name: placed_like(old, own[name]).lerp(own[name], 1 - decay)
                for name, old in self._items()
            }
            self._entered = iteration
        self._policy.load_trained_state(self._weights)
        try:
            yield
        finally:
            self._policy.load_trained_state(own)

    def state(self) -> dict[str, Tensor]:
        """Its weights, and the iteration that moved them last: a run that is stopped while it
        samples has moved them already.
        """
        named = {f"{PREFIX}{name}": tensor for name, tensor in self._items()}
        return {**named, ENTERED: torch.tensor(self._entered)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace both by a `state`.

        Raises:
            KeyError: something is missing.
        """
        self._weights = {
            name: placed_like(state[f"{PREFIX}{name}"], old) for name, old in self._items()
        }
        self._entered = int(state[ENTERED])

    def _items(self):
        return self._weights.items()
