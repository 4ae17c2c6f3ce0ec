"""Whether a small decoder's pictures earn what the true ones would: an iteration's are decoded and
scored both ways.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.metrics import Row
from ddpo.run import Run
from ddpo.scores import Scores
from ddpo.trajectory import Trajectory

LEAST_CORRELATION = 0.9
"""Below this a run says that it is trained towards something else than it shows."""


@runtime_checkable
class DecodesFully(Protocol):
    """A policy whose samples have pictures beside those that are scored."""

    def decoded_fully(self, trajectory: Trajectory) -> Float[Tensor, "b 3 height width"]:
        """Finished samples as held-out ones are decoded."""
        ...


def audit_due(run: Run) -> bool:
    """Whether the iteration in the making is audited: the first is, and then every so many."""
    every = run.config.policy.audit_every
    made = run.state.iteration + 1
    return every is not None and (made == 1 or made % every == 0)


def audit_decoder(run: Run, trajectory: Trajectory, scores: Scores) -> Row:
    """Score this iteration's samples as the full autoencoder shows them. A collective.

    Args:
        run: the run.
        trajectory: this process's samples.
        scores: of all processes' samples, of the small decoder's pictures.

    Returns:
        For each reward, over the samples that have it both ways, the correlation of the two and how
        much more the small decoder's pictures earn; None where there are too few, or no spread.
    """
    policy = run.policy
    assert isinstance(policy, DecodesFully)
    scoring, parts = run.scorer.begin(), []
    for start in range(0, len(trajectory), run.plan.sample_batch):
        part = trajectory[start : start + run.plan.sample_batch]
        part = replace(part, outputs=policy.decoded_fully(part))
        scoring.add(part)
        parts.append(part if run.scorer.group_rewards else part.without_outputs())
    exact = scoring.finish(Trajectory.concatenate(parts))
    row: Row = {}
    for name, shown in scores.parts.items():
        correlation, gap = _compared(shown, exact.parts[name])
        row |= {f"decoder/{name}/correlation": correlation, f"decoder/{name}/gap": gap}
        if correlation is not None and correlation < LEAST_CORRELATION:
            run.say(
                f"policy.tiny_vae: what {name} says of the small decoder's pictures correlates "
                f"{correlation:.2f} with what it says of the full autoencoder's"
            )
    return row


def _compared(
    shown: Float[Tensor, " b"], exact: Float[Tensor, " b"]
) -> tuple[float | None, float | None]:
    """Correlation, and mean difference."""
    both = shown.isfinite() & exact.isfinite()
    pair = torch.stack([shown[both], exact[both]]).double()
    if both.sum() < 2:
        return None, None
    gap = float((pair[0] - pair[1]).mean())
    return (float(pair.corrcoef()[0, 1]) if (pair.std(1) > 0).all() else None), gap
