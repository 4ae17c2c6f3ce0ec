"""The learning rate over the updates of a run."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ddpo.config.schema import TrainConfig


def build_schedule(config: TrainConfig, optimizer: Optimizer) -> LambdaLR:
    """The configured schedule of an optimizer's rate, one step an update."""
    return LambdaLR(optimizer, lambda update: share_of_peak(config, update))


def share_of_peak(config: TrainConfig, update: int) -> float:
    """The rate of an update, counted from 0, as a share of the peak, in [0, 1].

    W warm-up updates rise by 1/(W + 1) each, from there: a first one at rate 0 would waste its
    samples. After them the rate stays, or falls to 0 at the end of the run, in a line or a half
    cosine (Loshchilov & Hutter 2017, eq. 5).
    """
    warmup = config.warmup_updates
    if update < warmup:
        return (update + 1) / (warmup + 1)
    if config.lr_schedule == "constant":
        return 1.0
    total = config.iterations * config.updates_per_iteration * config.sample_uses
    done = min(1.0, (update - warmup) / max(1, total - warmup))
    return 1 - done if config.lr_schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
