"""What training changed, base against latest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ddpo.gallery.formatting import decimals_for
from ddpo.gallery.run_folder import RunFolder, Sample

TOTAL = "total reward"


@dataclass(frozen=True)
class Change:
    """The mean of one reward before and after training.

    `spread` is the standard deviation over the base model's samples, `error` the standard error
    of the mean difference between paired samples. Both are None when the means come from
    `metrics.jsonl`, or from a single sample. `count` is the number of samples, 0 from metrics.
    """

    name: str
    watched: bool
    before: float
    after: float
    count: int = 0
    spread: float | None = None
    error: float | None = None

    @property
    def delta(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def within_chance(self) -> bool:
        """Whether the difference is at most twice its standard error."""
        return self.error is not None and abs(self.delta) <= 2 * self.error

    @property
    def decimals(self) -> int:
        """Decimals in which both means are written."""
        return decimals_for((self.before, self.after))


def changes(run: RunFolder) -> tuple[Change, ...]:
    """Compare the base model with the latest samples, one by one.

    Without samples of both, compare the first with the last iteration of `metrics.jsonl`.
    The total comes first where there are several rewards, watch rewards last.
    """
    pairs = _paired_samples(run)
    return _from_pairs(pairs) if pairs else _from_metrics(run.metrics)


def from_samples(run: RunFolder) -> bool:
    """Whether `changes` compares the base model's samples with the latest ones."""
    return bool(_paired_samples(run))


def _paired_samples(run: RunFolder) -> list[tuple[Sample, Sample]]:
    if len(run.sample_sets) < 2 or run.sample_sets[0].iteration != 0:
        return []
    base, latest = run.sample_sets[0].samples, run.sample_sets[-1].samples
    # A folder that is still being filled is shorter than the base model's.
    pairs = zip(base, latest, strict=False)
    return [(old, new) for old, new in pairs if old.prompt == new.prompt]


def _from_pairs(pairs: Sequence[tuple[Sample, Sample]]) -> tuple[Change, ...]:
    rewards = _names(old.rewards for old, _ in pairs)
    found = []
    if len(rewards) != 1:
        found.append(_change(TOTAL, False, [(old.total, new.total) for old, new in pairs]))
    for name in rewards:
        values = [(old.rewards.get(name), new.rewards.get(name)) for old, new in pairs]
        found.append(_change(name, False, values))
    for name in _names(old.watch for old, _ in pairs):
        values = [(old.watch.get(name), new.watch.get(name)) for old, new in pairs]
        found.append(_change(name, True, values))
    return tuple(change for change in found if change is not None)


def _change(
    name: str, watched: bool, values: Iterable[tuple[float | None, float | None]]
) -> Change | None:
    scored = [(old, new) for old, new in values if old is not None and new is not None]
    if not scored:
        return None
    before = [old for old, _ in scored]
    after = [new for _, new in scored]
    spread = error = None
    if len(scored) > 1:
        spread = statistics.stdev(before)
        error = statistics.stdev(new - old for old, new in scored) / math.sqrt(len(scored))
    means = statistics.fmean(before), statistics.fmean(after)
    return Change(name, watched, *means, count=len(scored), spread=spread, error=error)


def _from_metrics(metrics: Sequence[Mapping[str, float]]) -> tuple[Change, ...]:
    keys = _names(metrics)
    rewards = [key for key in keys if key.startswith("reward/") and key != "reward/std"]
    parts = [key for key in rewards if key != "reward/mean"]
    optimised = parts if len(parts) == 1 else [key for key in rewards if key not in parts] + parts
    watched = [key for key in keys if key.startswith("watch/")]
    found = []
    for key in optimised + watched:
        values = [row[key] for row in metrics if key in row]
        name = TOTAL if key == "reward/mean" else key.partition("/")[2]
        if len(values) > 1:
            found.append(Change(name, key in watched, values[0], values[-1]))
    return tuple(found)


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the keys of all mappings, each once, in order of first appearance."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
