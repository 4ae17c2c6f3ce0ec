"""A watch reward that never comes back from its first call, and is inside torch all the time."""

from __future__ import annotations

import torch
from torch import Tensor

from rewards import reward


@reward("spinning", modality="image")
class Spinning:
    """Nothing at all, the first time; then 0."""

    def __init__(self) -> None:
        """Not called yet."""
        self._called = False

    def __call__(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Rewards of 0, from the second call on."""
        first, self._called = not self._called, True
        matrix = torch.eye(200)
        while first:
            matrix = matrix @ matrix
        return torch.zeros(len(prompts))
