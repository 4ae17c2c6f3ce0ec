"""Comparing the gradient of a reward with differences of its numbers."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rewards.errors import one_line
from rewards.explained import explain
from rewards.scoring import Batch
from rewards.testing.samples.image import smooth

# Pixels move by this much along a direction, from where rounding matters to where curvature does.
STEPS = (0.1, 0.03, 0.01, 0.003, 0.001)
RELATIVE = 0.05
# Of a number in float32, after a network has added up many roundings.
ROUNDING = 1e-6


def disagreement(function: Callable[..., Any], batch: Batch) -> str:
    """How the gradient of the sum of a batch's numbers is wrong; empty if it is right.

    The images are replaced by smooth ones in [0.3, 0.7], which leaves room for the largest step. Of
    the sum f, the derivative ⟨∇f, v⟩ along a direction v, with entries of at most 1, is compared
    with (f(x + hv) − f(x − hv)) / 2h for several h; it is right if one agrees up to 5 % and to the
    rounding of f in float32. The directions are the gradient's own, and two random ones.
    """
    generator = torch.Generator().manual_seed(0)
    images = 0.3 + 0.4 * smooth(len(batch), generator)

    def total(images: Tensor) -> Tensor:
        result = explain(function(images, batch.prompts, **batch.columns))
        return torch.as_tensor(result.numbers).double().sum()

    try:
        slope = _gradient(total, images)
    except RuntimeError as error:
        return f"no gradient reaches the images: {one_line(error)}"
    directions = {
        "the gradient": slope / slope.abs().max().clamp(min=1e-30),
        "a random direction": _random_direction(len(batch), generator),
        "another random direction": _random_direction(len(batch), generator),
    }
    for name, direction in directions.items():
        if problem := _compare(total, images, direction, (slope * direction).sum().item()):
            return f"along {name}, {problem}"
    return ""


def _gradient(total: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = images.clone().requires_grad_()
        (slope,) = torch.autograd.grad(total(leaf), leaf)
    return slope


def _random_direction(count: int, generator: torch.Generator) -> Tensor:
    """Smooth, and each channel of each image on average elsewhere, so that all of them count."""
    channels = 2 * torch.rand(count, 3, 1, 1, generator=generator) - 1
    return channels * smooth(count, generator)


@torch.no_grad()
def _compare(
    total: Callable[[Tensor], Tensor],
    images: Float[Tensor, "b 3 h w"],
    direction: Float[Tensor, "b 3 h w"],
    derivative: float,
) -> str:
    nearest, least = float("nan"), float("inf")
    for step in STEPS:
        above = total(images + step * direction).item()
        below = total(images - step * direction).item()
        difference = (above - below) / (2 * step)
        rounding = ROUNDING * max(abs(above), abs(below)) / step
        tolerance = RELATIVE * max(abs(derivative), abs(difference))
        if rounding > tolerance and step < STEPS[0]:
            break  # a smaller step would measure rounding, and prove anything
        error = abs(derivative - difference) / max(tolerance + rounding, 1e-30)
        if error < least:
            nearest, least = difference, error
    if least <= 1:
        return ""
    return f"the gradient says {derivative:.4g} and differences of the numbers say {nearest:.4g}"
