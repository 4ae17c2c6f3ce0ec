"""Rewards on samples of the model before training: their scale, their spread, and what they share.

`rewards` knows no models. Whoever does offers an entry point of the group `ddpo.samplers`, named
like the `policy.kind` of a configuration: `sampler(path, count, overrides)` gives the samples,
their prompts and columns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from rewards.combine import build
from rewards.errors import RewardError
from rewards.modality import modality_of
from rewards.scoring import RewardLike
from rewards.specification import parse, refuse_overlap
from rewards.tables import aligned
from rewards.yaml_text import override, read_yaml

ENTRY_POINT_GROUP = "ddpo.samplers"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Sampler = Callable[[Path, int, Sequence[str]], tuple[Any, list[str], dict[str, list[Any]]]]


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


def report(path: Path, count: int, overrides: Sequence[str] = ()) -> str:
    """Measure the rewards and watch rewards of a configuration on `count` base samples.

    Args:
        path: of the configuration.
        count: how many samples.
        overrides: `section.key=value`, on top of the configuration.

    Raises:
        RewardError: the configuration cannot be read, or nothing installed can sample its model.
    """
    config = _read(path, overrides)
    optimised, watched = parse(config["rewards"]), parse(config.get("watch") or [])
    refuse_overlap(optimised, watched)
    rewards = build([*optimised, *watched]).rewards
    samples, prompts, columns = _sampler(config)(path, count, overrides)
    measured = [measure(reward, samples, prompts, columns) for reward in rewards]
    sections = [
        f"{len(prompts)} samples of the base model, of {len(set(prompts))} different prompts",
        *aligned(_table(measured, prompts)),
        *unmeasurable(prompts),
    ]
    if len(measured) > 1:
        sections += ["", "correlation (Pearson)", *aligned(_correlations(measured))]
    weights = {e.role.label: e.role.weight for e in optimised if e.role.gate is None}
    return "\n".join([*sections, *_suggestions(measured, prompts, weights)])


def unmeasurable(prompts: Sequence[str]) -> list[str]:
    """A line for each spread that these samples cannot show."""
    distinct = len(set(prompts))
    lines = []
    if distinct == 1:
        lines.append(
            "one prompt: how rewards differ between prompts cannot be measured, and sd is that "
            "within the prompt; raise --samples, or name more prompts in the configuration"
        )
    if distinct == len(prompts):
        lines.append(
            "one sample of each prompt: the spread within a prompt cannot be measured; raise "
            "--samples, or algorithm.group_size"
        )
    return lines


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


def _read(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration as it is written: its sampler checks the parts that are no rewards."""
    try:
        config = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RewardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RewardError(f"{path} is not YAML: it is not UTF-8 text") from error
    except ValueError as error:
        raise RewardError(f"{path} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise RewardError(f"{path} is not a mapping of sections (name:, policy:, rewards:, …)")
    try:
        for word in overrides:
            override(config, word)
    except ValueError as error:
        raise RewardError(str(error)) from error
    if not isinstance(config.get("rewards"), dict):
        raise RewardError(f"{path} has no section 'rewards' with a weight for each name")
    return config


def _sampler(config: Mapping[str, Any]) -> Sampler:
    policy = config.get("policy")
    kind = policy.get("kind") if isinstance(policy, dict) else None
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == kind:
            return point.load()
    known = ", ".join(sorted(p.name for p in entry_points(group=ENTRY_POINT_GROUP))) or "none"
    given = f"nothing installed samples '{kind}'" if kind else "missing"
    raise RewardError(f"policy.kind: {given}; known: {known}")


def _suggestions(
    measured: Sequence[Calibrated], prompts: Sequence[str], weights: Mapping[str, float]
) -> list[str]:
    """Weights by each spread that can be measured: where there is one prompt, both are the same."""
    within = {one.name: one.spread_within(prompts) for one in measured}
    spreads = {"within a prompt": within}
    if len(set(prompts)) > 1:
        spreads = {"over all samples": {one.name: one.spread for one in measured}, **spreads}
    lines = []
    for where, spread in spreads.items():
        suggested = suggest(spread, weights)
        if len(suggested) > 1:
            title = f"weights of a plain sum that give each its part, by the spread {where}:"
            lines += ["", title, *(f"  {name}: {w:.3g}" for name, w in suggested.items())]
    return lines


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
