"""Rewards on samples of the model before training: their scale, their spread, and what they share.

`rewards` knows no models. Whoever does offers an entry point of the group `ddpo.samplers`, named
like the `policy.kind` of a configuration: `sampler(path, count)` gives the samples, their prompts
and columns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float

from rewards.combine import from_spec
from rewards.errors import RewardError, one_line
from rewards.modality import modality_of
from rewards.scoring import RewardLike
from rewards.tables import aligned

ENTRY_POINT_GROUP = "ddpo.samplers"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Sampler = Callable[[Path, int], tuple[Any, list[str], dict[str, list[Any]]]]


@dataclass(frozen=True)
class Calibrated:
    """One reward on a batch.

    Attributes:
        name: its label.
        values: `[B]`, NaN where it could not score.
        seconds: for each sample.
        range: declared.
    """

    name: str
    values: Float[np.ndarray, " b"]
    seconds: float
    range: tuple[float, float] | None

    @property
    def finite(self) -> Float[np.ndarray, " n"]:
        """What could be scored."""
        return self.values[np.isfinite(self.values)]

    @property
    def spread(self) -> float:
        """Standard deviation (population) of what could be scored; NaN without any."""
        return float(self.finite.std()) if len(self.finite) else float("nan")

    def spread_within(self, prompts: Sequence[str]) -> float:
        """The same around the mean of each prompt, root mean square over the samples of prompts
        that have several; NaN without any. It is what group advantages see.
        """
        squares = []
        for prompt in dict.fromkeys(prompts):
            values = self.values[[row for row, p in enumerate(prompts) if p == prompt]]
            values = values[np.isfinite(values)]
            if len(values) > 1:
                squares += ((values - values.mean()) ** 2).tolist()
        return float(np.sqrt(np.mean(squares))) if squares else float("nan")

    @property
    def saturation(self) -> float:
        """Share of samples at an end of the declared range, where a reward cannot tell more; NaN
        without any.
        """
        if not len(self.finite):
            return float("nan")
        low, high = self.range or (-np.inf, np.inf)
        return float(np.mean((self.finite <= low) | (self.finite >= high)))


def report(path: Path, count: int) -> str:
    """Measure the rewards and watch rewards of a configuration on `count` base samples.

    Raises:
        RewardError: the configuration cannot be read, or nothing installed can sample its model.
    """
    config = _read(path)
    watched = config.get("watch") or []
    watched = watched if isinstance(watched, Mapping) else dict.fromkeys(watched, 1.0)
    combination = from_spec({**config["rewards"], **watched})
    samples, prompts, columns = _sampler(config)(path, count)
    measured = [measure(reward, samples, prompts, columns) for reward in combination.rewards]
    optimised = [one for one in measured if one.name not in watched]
    sections = [
        f"{len(prompts)} samples of the base model, of {len(set(prompts))} prompts",
        *aligned(_table(measured, prompts)),
    ]
    if len(measured) > 1:
        sections += ["", "correlation (Pearson)", *aligned(_correlations(measured))]
    weights = {role.label: role.weight for role in combination.rule.roles if role.gate is None}
    overall = suggest({one.name: one.spread for one in optimised}, weights)
    within = suggest({one.name: one.spread_within(prompts) for one in optimised}, weights)
    for suggested, where in ((overall, "over all samples"), (within, "within a prompt")):
        if len(suggested) > 1:
            lines = [f"  {name}: {weight:.3g}" for name, weight in suggested.items()]
            title = f"weights of a plain sum that give each its part, by the spread {where}:"
            sections += ["", title, *lines]
    return "\n".join(sections)


def measure(
    reward: RewardLike,
    samples: Any,
    prompts: Sequence[str],
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Calibrated:
    """Score a batch once, with the time that it takes."""
    start = time.perf_counter()
    scored = reward.score(samples, prompts, columns)
    seconds = (time.perf_counter() - start) / max(1, len(prompts))
    array = modality_of(reward.definition.modality, samples).array(scored.values)
    return Calibrated(reward.name, array, seconds, reward.definition.range)


def suggest(spreads: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Weights for a plain sum in which each reward has the part that its weight says, whatever its
    scale: `w_k / std_k`, scaled so that the first keeps its weight. Those without spread are left
    out.
    """
    usable = {name: std for name, std in spreads.items() if name in weights and std > 0}
    if not usable:
        return {}
    unit = usable[next(iter(usable))]
    return {name: weights[name] * unit / std for name, std in usable.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RewardError(f"{path} is not a configuration: {one_line(error)}") from error
    if not isinstance(config, dict) or not isinstance(config.get("rewards"), dict):
        raise RewardError(f"{path} is not a configuration: it has no section 'rewards'")
    return config


def _sampler(config: Mapping[str, Any]) -> Sampler:
    kind = (config.get("policy") or {}).get("kind")
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == kind:
            return point.load()
    known = ", ".join(sorted(p.name for p in entry_points(group=ENTRY_POINT_GROUP))) or "none"
    raise RewardError(f"policy.kind: nothing installed samples a {kind!r} policy; known: {known}")


def _table(measured: Sequence[Calibrated], prompts: Sequence[str]) -> list[list[str]]:
    head = ["reward", "mean", "sd", "sd in a prompt", *(f"{q:.0%}" for q in QUANTILES)]
    rows = [[*head, "saturated", "failed", "ms a sample"]]
    for one in measured:
        figures = [float("nan")] * (len(QUANTILES) + 1)
        if len(one.finite):
            figures = [one.finite.mean(), *np.quantile(one.finite, QUANTILES)]
        shown = (figures[0], one.spread, one.spread_within(prompts), *figures[1:])
        failed = 1 - len(one.finite) / len(one.values)
        numbers = [f"{number:.4g}" for number in shown]
        rows.append(
            [
                one.name,
                *numbers,
                f"{one.saturation:.0%}",
                f"{failed:.0%}",
                f"{1000 * one.seconds:.3g}",
            ]
        )
    return rows


def _correlations(measured: Sequence[Calibrated]) -> list[list[str]]:
    rows = [["", *(one.name for one in measured)]]
    for one in measured:
        rows.append([one.name, *(f"{_correlation(one, other):.2f}" for other in measured)])
    return rows


def _correlation(one: Calibrated, other: Calibrated) -> float:
    """NaN where a reward has no spread."""
    both = np.isfinite(one.values) & np.isfinite(other.values)
    left, right = one.values[both], other.values[both]
    if not len(left) or not left.std() or not right.std():
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])
