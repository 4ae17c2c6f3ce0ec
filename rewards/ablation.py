"""What each reward of a combination decides: how the ranking of samples changes without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from rewards.errors import RewardError
from rewards.files import INDEX, entry_name, read_index
from rewards.rule import Rule
from rewards.specification import roles
from rewards.tables import aligned
from rewards.yaml_text import read_yaml


@dataclass(frozen=True)
class Absence:
    """The ranking without one part, against the ranking with all.

    Attributes:
        label: of the part that is left out.
        swapped: share of the pairs of samples, ordered with all parts, whose order changes, in
            [0, 1]: .5 is what chance does. A pair that becomes a tie counts half.
        best: samples that are among the best quarter.
        kept: how many of those still are.
        moved: the sample whose rank changes most, as (row, rank with all, rank without); ranks
            begin at 1.
    """

    label: str
    swapped: float
    best: int
    kept: int
    moved: tuple[int, int, int]


def report(path: Path) -> str:
    """The ablation of a run's newest samples, or of a folder `samples/<iteration>/`, as a table.

    Raises:
        RewardError: there are no samples with several rewards, or no configuration of a run.
    """
    folder = _samples_folder(path)
    entries = read_index(folder)
    rule = read_rule(folder.parents[1] / "config.yaml")
    parts = {
        role.label: np.array(
            [
                _number(entry, role.label, f"{folder / INDEX}: sample {entry_name(entry, number)}")
                for number, entry in enumerate(entries, 1)
            ]
        )
        for role in rule.roles
    }
    prompts = [entry["prompt"] for entry in entries]
    rule, note = _usable(rule, prompts)
    scored = int(np.isfinite(rule.total(parts, prompts)).sum())
    head = f"{folder}: {scored} of {len(entries)} samples with all rewards; {describe(rule)}{note}"
    rows = [["without", "pairs swapped", "best kept", "moves most"]]
    for absence in ablate(rule, parts, prompts):
        row, before, after = absence.moved
        rows.append(
            [
                absence.label,
                f"{absence.swapped:.0%}",
                f"{absence.kept} of {absence.best}",
                f"{entry_name(entries[row], row + 1)}: rank {before} to {after}",
            ]
        )
    return "\n".join([head, *aligned(rows)])


def ablate(
    rule: Rule, parts: dict[str, Float[np.ndarray, " b"]], prompts: Sequence[str]
) -> list[Absence]:
    """Leave each part out in turn; samples without a total are not ranked.

    Raises:
        RewardError: there are not two rewards, or not two samples with a total.
    """
    if len(rule.roles) < 2:
        raise RewardError("ablation: a single reward decides everything; it takes two or more")
    total = rule.total(parts, prompts)
    rows = np.flatnonzero(np.isfinite(total))
    if len(rows) < 2:
        raise RewardError(f"ablation: {len(rows)} samples have all rewards; it takes two or more")
    return [
        _absence(label, rows, total, rule.without(label).total(parts, prompts))
        for label in _removable(rule)
    ]


def read_rule(path: Path) -> Rule:
    """The rule of a run, from its `config.yaml`.

    Raises:
        RewardError: the file cannot be read, or holds no rewards.
    """
    wrong = f"{path} is not the configuration of a run, which says how rewards are combined"
    try:
        config = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RewardError(f"{wrong}: it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RewardError(f"{wrong}: it is not YAML: {error}") from error
    config = config if isinstance(config, dict) else {}
    combine = config.get("combine") or {}
    if "rewards" not in config or not isinstance(combine, dict):
        raise RewardError(f"{wrong}: it has no section 'rewards', or its 'combine' is no mapping")
    kind, within = combine.get("kind", "sum"), combine.get("within", "batch")
    return Rule(roles(config["rewards"]), kind, within)


def describe(rule: Rule) -> str:
    """A rule in words."""
    within = f" within each {rule.within}" if rule.kind == "normalised_sum" else ""
    return f"{rule.kind.replace('_', ' ')}{within} of {', '.join(map(str, rule.roles))}"


def _usable(rule: Rule, prompts: Sequence[str]) -> tuple[Rule, str]:
    """The rule, and a remark where single samples of a prompt leave nothing to standardise over."""
    alone = len(set(prompts)) == len(prompts)
    if rule.kind != "normalised_sum" or rule.within != "group" or not alone:
        return rule, ""
    return replace(rule, within="batch"), " (not within each group: each prompt has one sample)"


def _removable(rule: Rule) -> list[str]:
    """All parts, but for the only one that is summed: without it there is no total."""
    summed = [role.label for role in rule.roles if role.gate is None]
    return [role.label for role in rule.roles if [role.label] != summed]


def _absence(
    label: str,
    rows: np.ndarray,
    total: Float[np.ndarray, " b"],
    without: Float[np.ndarray, " b"],
) -> Absence:
    before, after = total[rows], without[rows]
    ordered = np.sign(np.subtract.outer(before, before))
    other = np.sign(np.subtract.outer(after, after))
    pairs = np.abs(ordered).sum()
    swapped = float(np.abs(ordered - other)[ordered != 0].sum() / 2 / pairs) if pairs else 0.0
    best = max(1, len(rows) // 4)
    ranks, others = _ranks(before), _ranks(after)
    most = int(np.abs(ranks - others).argmax())
    kept = int(((ranks <= best) & (others <= best)).sum())
    moved = (int(rows[most]), int(ranks[most]), int(others[most]))
    return Absence(label, swapped, best, kept, moved)


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 for the highest; ties in the order of the samples."""
    ranks = np.empty(len(values), int)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


def _samples_folder(path: Path) -> Path:
    if (path / INDEX).is_file():
        return path.resolve()
    folders = sorted(path.glob(f"samples/*/{INDEX}"))
    if not folders:
        raise RewardError(
            f"{path} holds no samples: name a run folder, or its samples/<iteration>/"
        )
    return folders[-1].parent.resolve()


def _number(entry: dict[str, Any], label: str, where: str) -> float:
    rewards = entry.get("rewards")
    number = rewards.get(label, "") if isinstance(rewards, dict) else ""
    if not isinstance(number, (int, float, type(None))):
        raise RewardError(
            f"{where} has no number of the reward '{label}', which the run's config.yaml names: "
            "name a folder that the run has saved"
        )
    return math.nan if number is None else float(number)
