"""Noise from counters: what a sample is made of does not depend on who else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

EVALUATION = 2**32 - 1
"""The iteration counter of held-out evaluation: the same noise at every checkpoint."""


@dataclass(frozen=True)
class RowGenerator:
    """Independent noise for each row of a batch, addressed instead of consumed.

    Row i at step s always draws the stream (seed, iteration, prompt, sample, s) of the
    counter-based generator Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
    3"). Nothing advances, so batch size, number of processes and resume cannot change what is
    drawn.

    Attributes:
        seed: the run's seed, 0 or more.
        iteration: of training, from 1; `EVALUATION` for held-out samples.
        rows: per row, the index of its prompt in the prompt set and which sample of that prompt it
            is.
    """

    seed: int
    iteration: int
    rows: tuple[tuple[int, int], ...]

    def normal(self, step: int, shape: Sequence[int]) -> Float[Tensor, "b ..."]:
        """Standard normal noise `[B, *shape]` (fp32, CPU) for one step of each row's chain."""
        drawn = [stream.standard_normal(shape, np.float32) for stream in self._streams(step)]
        return torch.from_numpy(np.stack(drawn))

    def uniform(self, step: int) -> Float[Tensor, " b"]:
        """One uniform number in [0, 1) per row (fp32, CPU) for one step of each row's chain."""
        drawn = [stream.random(dtype=np.float32) for stream in self._streams(step)]
        return torch.from_numpy(np.array(drawn, dtype=np.float32))

    def uniforms(self, count: int) -> Float[Tensor, "b count"]:
        """So many uniform numbers in [0, 1) per row (fp64, CPU); a longer draw begins with the same
        ones.
        """
        drawn = [stream.random(count) for stream in self._streams(0)]
        return torch.from_numpy(np.stack(drawn))

    def of_prompts(self) -> RowGenerator:
        """For each row, the noise of its prompt's first sample."""
        rows = tuple((prompt, 0) for prompt, _ in self.rows)
        return RowGenerator(self.seed, self.iteration, rows)

    def __getitem__(self, rows: slice) -> RowGenerator:
        """The generator of some of the rows."""
        return RowGenerator(self.seed, self.iteration, self.rows[rows])

    def _streams(self, step: int) -> list[np.random.Generator]:
        """A Philox stream per row. The lowest counter word is left free: Philox advances it."""
        return [
            np.random.Generator(
                np.random.Philox(
                    key=np.array([self.seed, self.iteration], dtype=np.uint64),
                    counter=np.array([0, step, sample, prompt], dtype=np.uint64),
                )
            )
            for prompt, sample in self.rows
        ]
