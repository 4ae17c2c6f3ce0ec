"""A reward that draws from every global random state: a resumed run agrees only if all are back."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import torch
from torch import Tensor

from rewards import reward

UNLUCKY = "a cat"
"""The prompt whose samples are not scored when there is a fault."""


@reward("noisy", modality="image", deterministic=False)
class Noisy:
    """Redness, and three kinds of noise.

    The environment makes it go wrong, so that a run can be resumed after the fault was mended:
    FAULT says how, FAULT_CALL from which call on, FAULT_RANK in which process.
    """

    def __init__(self) -> None:
        """Count calls."""
        self._calls = 0

    def __call__(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Rewards between 0 and 1.3."""
        self._calls += 1
        count = len(prompts)
        drawn = torch.rand(count) + torch.from_numpy(np.random.rand(count)).float()
        drawn = drawn + torch.tensor([random.random() for _ in prompts])
        return self._faulty(images[:, 0].flatten(1).mean(1).cpu() + 0.1 * drawn, prompts)

    def _faulty(self, values: Tensor, prompts: list[str]) -> Tensor:
        """The same, unless there is a fault."""
        fault = os.environ.get("FAULT")
        begun = self._calls >= int(os.environ.get("FAULT_CALL", "1"))
        here = os.environ.get("FAULT_RANK", "0") == os.environ.get("RANK", "0")
        if not (fault and begun and here):
            return values
        if fault == "hang":
            time.sleep(3600)
        unlucky = torch.tensor([fault == "all" or prompt == UNLUCKY for prompt in prompts])
        if fault == "short":
            return values[1:]
        if fault == "raise" and unlucky.any():
            raise OSError("the server is gone")
        return torch.where(unlucky, 0.0 if fault == "zero" else torch.nan, values)


@reward("alike", modality="image")
def alike(images: Tensor, prompts: list[str]) -> Tensor:
    """The same for all."""
    return torch.full((len(prompts),), 0.1)
