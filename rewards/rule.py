"""The rule by which several rewards become one number: what each counts, and how they join."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from rewards import totals
from rewards.errors import RewardError

Kind = Literal["sum", "normalised_sum", "product"]
Within = Literal["batch", "group"]


@dataclass(frozen=True)
class Role:
    """How one reward counts.

    Attributes:
        label: what the part is called in totals, metrics and galleries.
        weight: in the total; a gate has none.
        gate: the lowest value that lets a sample keep its total; None for a reward that is summed.
        otherwise: the total of a sample that the gate stops; None for the lowest of its batch, as
            it was before any gate. Of several gates that stop a sample the lowest total holds.
    """

    label: str
    weight: float = 1.0
    gate: float | None = None
    otherwise: float | None = None

    def __str__(self) -> str:
        return (
            f"{self.label} × {self.weight:g}"
            if self.gate is None
            else f"{self.label} at least {self.gate:g}"
        )


@dataclass(frozen=True)
class Rule:
    """Roles and how they are joined.

    Attributes:
        roles: one for each part.
        kind: the weighted sum; the sum of rewards standardised first, so that scale does not
            decide; or the product of rewards that are at least 0.
        within: what a reward is standardised over: the whole batch, or the samples of each prompt.

    Raises:
        RewardError: a label is there twice, all parts are gates, or a product has a negative
            weight.
    """

    roles: tuple[Role, ...]
    kind: Kind = "sum"
    within: Within = "batch"

    def __post_init__(self) -> None:
        labels = [role.label for role in self.roles]
        repeated = [label for label in labels if labels.count(label) > 1]
        if repeated:
            raise RewardError(f"reward '{repeated[0]}' is combined with itself: give it one weight")
        if self.roles and all(role.gate is not None for role in self.roles):
            raise RewardError("rewards: all of them are gates; one must have a weight")
        if self.kind == "product":
            self._refuse_negative_exponents()

    @property
    def comparable(self) -> bool:
        """Whether totals of two batches can be compared: not when each batch is standardised."""
        return self.kind != "normalised_sum"

    def without(self, label: str) -> "Rule":
        """The same with one part left out.

        Raises:
            RewardError: only gates are left.
        """
        return replace(self, roles=tuple(role for role in self.roles if role.label != label))

    def total(
        self, parts: Mapping[str, Float[np.ndarray, " b"]], prompts: Sequence[str]
    ) -> Float[np.ndarray, " b"]:
        """One number per sample, float64; NaN where a part is, and everywhere without any part."""
        summed = [role for role in self.roles if role.gate is None]
        if not summed:
            return np.full(len(prompts), np.nan)
        values = np.stack([parts[role.label] for role in summed]).astype(np.float64)
        weights = np.array([role.weight for role in summed], np.float64)
        groups = list(prompts) if self.within == "group" else None
        kinds: dict[Kind, Callable[[], np.ndarray]] = {
            "sum": lambda: totals.weighted_sum(values, weights),
            "normalised_sum": lambda: totals.normalised_sum(values, weights, groups),
            "product": lambda: totals.weighted_product(values, weights),
        }
        return self._gated(kinds[self.kind](), parts)

    def _gated(
        self, total: Float[np.ndarray, " b"], parts: Mapping[str, Float[np.ndarray, " b"]]
    ) -> Float[np.ndarray, " b"]:
        """The total after all gates at once."""
        gates = {role: role.gate for role in self.roles if role.gate is not None}
        if not gates:
            return total
        values = np.stack([parts[role.label] for role in gates]).astype(np.float64)
        thresholds = np.array(list(gates.values()), np.float64)
        return totals.gated(total, values, thresholds, [role.otherwise for role in gates])

    def _refuse_negative_exponents(self) -> None:
        for role in self.roles:
            if role.gate is None and role.weight < 0:
                raise RewardError(
                    f"reward '{role.label}': weight={role.weight:g} is an exponent in a product, "
                    "and would make a reward of 0 infinite; give 0 or more, or combine by a sum"
                )
