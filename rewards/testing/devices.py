"""Property of an image reward: a GPU gives the numbers of the CPU."""

from dataclasses import replace

from rewards.testing.case import Case, differ
from rewards.testing.finding import Broken, NotChecked

# cuDNN may use TF32 for convolutions, whose mantissa has 10 bits.
TOLERANCE = 2e-3


def devices(case: Case) -> None:
    """The numbers on CUDA are those on the CPU, up to rounding."""
    if case.kind == "text":
        raise NotChecked("texts are on no device")
    if not case.reward.definition.deterministic:
        raise NotChecked("declared not deterministic")
    import torch

    if not torch.cuda.is_available():
        raise NotChecked("no CUDA device here")
    numbers = case.score(replace(case.batch, samples=case.batch.samples.cuda()))
    case.score(case.batch)  # a model that followed the images goes back with them
    for row, (before, after) in enumerate(zip(case.values, numbers, strict=True)):
        if differ(before, after, TOLERANCE):
            raise Broken(f"{case.shown(row)} got {before:.7g} on the CPU, {after:.7g} on CUDA")
