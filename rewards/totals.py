"""From several rewards of a sample to one number: pure functions of arrays, NaN where a part is
missing.

Shapes: `parts [K, B]` are K rewards of B samples, `weights [K]`, a total is `[B]`.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

SPREAD_FLOOR = 1e-6
"""Below this standard deviation, relative to the largest value, a reward tells nothing apart."""


def weighted_sum(
    parts: Float[np.ndarray, "k b"], weights: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " b"]:
    """`Σ_k w_k r_k`: the scale of each reward decides along with its weight."""
    return weights @ parts


def normalised_sum(
    parts: Float[np.ndarray, "k b"],
    weights: Float[np.ndarray, " k"],
    groups: Sequence[Hashable] | None = None,
) -> Float[np.ndarray, " b"]:
    """`Σ_k w_k (r_k − mean_k) / std_k`, so that only the weights decide: GDPO, Liu et al., 2026.

    Mean and population standard deviation are taken within each group, or over the batch without
    groups, of what could be scored. A reward without spread contributes 0.

    Args:
        parts: rewards.
        weights: one for each.
        groups: a label for each sample, such as its prompt.
    """
    labels = np.zeros(parts.shape[1]) if groups is None else _numbered(groups)
    standardised = np.stack([_standardised(part, labels) for part in parts])
    return weights @ standardised


def weighted_product(
    parts: Float[np.ndarray, "k b"], weights: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " b"]:
    """`Π_k r_k^{w_k}` of rewards that are at least 0: a sample must do well by each of them.

    A negative part makes the total NaN. Weights are at least 0: a part of 0 would become infinite.
    """
    usable = (parts >= 0).all(axis=0)  # NaN to the power of 0 would be 1
    return np.where(
        usable, np.prod(np.where(usable, parts, 1.0) ** weights[:, None], axis=0), np.nan
    )


def gated(
    total: Float[np.ndarray, " b"],
    parts: Float[np.ndarray, "g b"],
    thresholds: Float[np.ndarray, " g"],
    otherwise: Sequence[float | None],
) -> Float[np.ndarray, " b"]:
    """The total where every part is at least its threshold; elsewhere the lowest of what the gates
    that stop the sample put there. The order of the gates does not matter.

    NaN where a part or the total is.

    Args:
        total: before any gate.
        parts: one for each of G gates.
        thresholds: one for each.
        otherwise: what each puts there; None for the lowest total of the batch.
    """
    known = total[np.isfinite(total)]
    worst = known.min() if len(known) else np.nan
    instead = np.array([worst if value is None else value for value in otherwise])
    # Rewards are float32: a threshold of 0.9 must let a reward of 0.9 pass.
    stopped = parts.astype(np.float32) < thresholds.astype(np.float32)[:, None]
    lowest = np.where(stopped, instead[:, None], np.inf).min(axis=0)
    held = np.where(stopped.any(axis=0), lowest, total)
    return np.where(np.isfinite(parts).all(axis=0) & np.isfinite(total), held, np.nan)


def _standardised(
    part: Float[np.ndarray, " b"], labels: Float[np.ndarray, " b"]
) -> Float[np.ndarray, " b"]:
    result = np.full(len(part), np.nan)
    finite = np.isfinite(part)
    for label in np.unique(labels):
        rows = finite & (labels == label)
        if rows.any():
            values = part[rows]
            spread = values.std()
            flat = spread <= SPREAD_FLOOR * np.abs(values).max()
            result[rows] = 0.0 if flat else (values - values.mean()) / spread
    return result


def _numbered(groups: Sequence[Hashable]) -> Float[np.ndarray, " b"]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], float)
