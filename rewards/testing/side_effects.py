"""Properties of what one call leaves behind: its input, and the global random state, untouched."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rewards.testing.case import Case, fresh
from rewards.testing.finding import Broken


def inputs(case: Case) -> None:
    """It does not write into its samples, prompts or columns."""
    given = fresh(case.batch)
    case.reward.function(given.samples, given.prompts, **given.columns)
    parts = {
        "samples": (case.batch.samples, given.samples),
        "prompts": (case.batch.prompts, given.prompts),
    }
    for name, values in case.batch.columns.items():
        parts[f"column '{name}'"] = (values, given.columns[name])
    for what, (before, after) in parts.items():
        row = _changed(before, after)
        if row is not None:
            raise Broken(f"the {what} it was given changed in row {row}; change a copy")


def random_state(case: Case) -> None:
    """It draws nothing from the generators that the whole program shares, and seeds none.

    Otherwise a run that scores one more sample would train differently from there on.
    """
    for shared in _generators():
        given = fresh(case.batch)
        kept = shared.state()
        # A reward that seeds would otherwise find the state that its last call left.
        shared.draw()
        before = shared.fingerprint()
        case.reward.function(given.samples, given.prompts, **given.columns)
        after = shared.fingerprint()
        shared.restore(kept)
        if before != after:
            raise Broken(f"a call changed the state of {shared.name}; use {shared.instead}")


@dataclass(frozen=True)
class _Generator:
    """A global random generator: how to read it and put it back, and what a reward uses instead."""

    name: str
    state: Callable[[], Any]
    restore: Callable[[Any], object]
    draw: Callable[[], object]
    key: Callable[[Any], object]
    instead: str

    def fingerprint(self) -> object:
        return self.key(self.state())


def _generators() -> Iterator[_Generator]:
    """Those of the libraries that the reward has imported by now."""
    yield _Generator(
        "random",
        random.getstate,
        random.setstate,
        random.random,
        lambda state: state,
        "random.Random(seed)",
    )
    if numpy := sys.modules.get("numpy"):
        yield _Generator(
            "numpy.random",
            numpy.random.get_state,
            numpy.random.set_state,
            numpy.random.random,
            lambda state: (state[1].tobytes(), *state[2:]),
            "numpy.random.default_rng(seed)",
        )
    if torch := sys.modules.get("torch"):
        yield from _torch_generators(torch)


def _torch_generators(torch: Any) -> Iterator[_Generator]:
    instead = "torch.Generator(device).manual_seed(seed)"
    yield _Generator(
        "torch",
        torch.get_rng_state,
        torch.set_rng_state,
        lambda: torch.rand(()),
        lambda state: state.numpy().tobytes(),
        instead,
    )
    if torch.cuda.is_available():
        yield _Generator(
            "torch.cuda",
            torch.cuda.get_rng_state_all,
            torch.cuda.set_rng_state_all,
            lambda: torch.rand((), device="cuda"),
            lambda states: [state.numpy().tobytes() for state in states],
            instead,
        )


def _changed(before: Any, after: Any) -> int | None:
    """The first row that is not what it was; None if all are."""
    if len(before) != len(after):
        return min(len(before), len(after))
    rows = enumerate(zip(before, after, strict=True))
    return next((row for row, (one, other) in rows if not _equal(one, other)), None)


def _equal(one: Any, other: Any) -> bool:
    """Of two rows: an image is equal where all its pixels are."""
    same = one == other
    return bool(same if isinstance(same, bool) else same.all())
