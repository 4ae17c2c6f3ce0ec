"""What a configuration says of rewards, checked: which, how much each counts, with which options.

`{name: weight}`, `{name: {weight: 1.0, option: value}}`, or a list of names. Beside its options, an
entry may say `gate: 0.5` (it is not summed: samples below the threshold lose their total, and get
`otherwise: number`, or the lowest total of the batch), and `reward: name` (the key is then a label
of one's own, so that one reward can be used twice).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rewards import options as option_values
from rewards.definition import Definition
from rewards.errors import RewardError
from rewards.registry import definition
from rewards.rule import Role
from rewards.scoring import Reward

RESERVED_LABELS = ("mean", "std", "reward", "total")  # of what metrics say of all rewards together
_ROLE = ("weight", "gate", "otherwise")


@dataclass(frozen=True)
class Entry:
    """One line of a specification: how the reward counts, which one it is, its checked options."""

    role: Role
    definition: Definition
    options: dict[str, Any]

    def make(self) -> Reward:
        """The reward, under its label.

        Raises:
            RewardError: it cannot be made.
        """
        made = option_values.build(self.definition, self.options)
        return Reward(made.definition, made.function, made.options, label=self.role.label)

    def same_reward(self, other: "Entry") -> bool:
        """Whether both make the same reward: with the same options, those left out included."""
        return self.definition == other.definition and self._all_options() == other._all_options()

    def _all_options(self) -> dict[str, Any]:
        defaults = {name: option.default for name, option in self.definition.options.items()}
        return defaults | self.options


@dataclass(frozen=True)
class _Line:
    """One line as it was written, taken apart."""

    label: str
    name: str
    settings: dict[str, Any]
    options: dict[str, Any]


def parse(spec: Any) -> list[Entry]:
    """Check a specification without building its rewards, so that no model is loaded.

    Raises:
        RewardError: all that is wrong with the specification, one line each.
    """
    entries, problems = [], []
    for label, value in _items(spec):
        try:
            entries.append(_entry(_line(label, value)))
        except RewardError as error:
            problems.append(str(error))
    labels = [entry.role.label for entry in entries]
    problems += [
        f"reward '{label}' is listed twice"
        for label in dict.fromkeys(labels)
        if labels.count(label) > 1
    ]
    raise_all(problems)
    return entries


def refuse_overlap(rewards: Iterable[Entry], watch: Iterable[Entry]) -> None:
    """Refuse watch rewards that would be told apart from an optimised reward by nothing.

    Raises:
        RewardError: one has the label of a reward, under which galleries show both, or is the same
            reward with the same options, which is measured already; one line each.
    """
    pairs = [(used, seen) for seen in watch for used in rewards]
    raise_all([line for used, seen in pairs if (line := _overlap(used, seen))])


def roles(spec: Any) -> tuple[Role, ...]:
    """Only how each reward counts.

    Raises:
        RewardError: a weight, gate or label is malformed.
    """
    lines = [_line(label, value) for label, value in _items(spec)]
    return tuple(_role(line) for line in lines)


def raise_all(problems: list[str]) -> None:
    """Raise all problems as one error, a line each, if there are any.

    Raises:
        RewardError: there are.
    """
    if problems:
        raise RewardError("\n".join(problems))


def _overlap(used: Entry, seen: Entry) -> str:
    if used.same_reward(seen):
        return (
            f"'{seen.role.label}' is the optimised reward '{used.role.label}' with the same "
            "options, which is measured already: leave it out"
        )
    if used.role.label == seen.role.label:
        label = seen.role.label
        return (
            f"'{label}' is the name of an optimised reward with other options: give it a name of "
            f"its own, such as {label}_watched: {{reward: {seen.definition.name}, …}}"
        )
    return ""


def _items(spec: Any) -> list[tuple[Any, Any]]:
    if isinstance(spec, Mapping):
        return list(spec.items())
    if isinstance(spec, str) or not isinstance(spec, Iterable):
        raise RewardError(
            f"rewards are a mapping of names to weights, or a list of names, not {spec!r}"
        )
    return [(name, 1.0) for name in spec]


def _line(label: Any, value: Any) -> _Line:
    if not isinstance(label, str):
        raise RewardError(f"the name of a reward is a text, not {label!r}")
    options = dict(value) if isinstance(value, Mapping) else {"weight": value}
    if label in RESERVED_LABELS:
        raise RewardError(f"a reward cannot be called '{label}', which is the name of a metric")
    name = options.pop("reward", label)
    if not isinstance(name, str):
        raise RewardError(f"reward '{label}': reward={name!r} is not the name of a reward")
    settings = {key: options.pop(key) for key in _ROLE if key in options}
    return _Line(label, name, settings, options)


def _label(line: _Line) -> str:
    """What a part is called: not `module:attribute`, but by the name found there."""
    return definition(line.label).name if ":" in line.label else line.label


def _entry(line: _Line) -> Entry:
    problems = _role_problems(line)
    try:
        found = definition(line.name)
        checked = option_values.check(found, line.options)
    except RewardError as error:
        raise RewardError("\n".join([*problems, str(error)])) from error
    raise_all(problems)
    return Entry(_role(line), found, checked)


def _role(line: _Line) -> Role:
    raise_all(_role_problems(line))
    return Role(_label(line), **{key: float(value) for key, value in line.settings.items()})


def _role_problems(line: _Line) -> list[str]:
    problems = [
        f"reward '{line.label}': {key}={value!r} is not a finite number"
        for key, value in line.settings.items()
        if not _is_number(value)
    ]
    if {"gate", "weight"} <= line.settings.keys():
        problems.append(f"reward '{line.label}': a gate has no weight; give one of the two")
    if "otherwise" in line.settings and "gate" not in line.settings:
        given = line.settings["otherwise"]
        problems.append(f"reward '{line.label}': otherwise={given!r} needs a gate")
    return problems


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
