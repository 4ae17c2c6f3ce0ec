"""Properties of what one call returns: B finite real numbers, in the declared range."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rewards.errors import one_line
from rewards.testing.case import TOLERANCE, Case
from rewards.testing.finding import Broken


def call(case: Case) -> None:
    """It scores ordinary samples, alone and together, without raising."""
    everything = range(len(case.batch))
    for rows in [*([row] for row in everything), everything]:
        _returned(case, rows)


def dtype(case: Case) -> None:
    """It returns real numbers: floating point, integers or booleans, which become float32."""
    for count in (1, len(case.batch)):
        _numbers(case, range(count))


def length(case: Case) -> None:
    """It returns one number for each sample."""
    for count in (1, len(case.batch)):
        _check_shape(case, count)


def explained(case: Case) -> None:
    """What it tells beside its numbers is of its rows: a reason where there is no number, and
    details that are JSON.
    """
    case.score(case.batch)


def empty_batch(case: Case) -> None:
    """It returns no numbers for no samples."""
    _check_shape(case, 0)


def finite(case: Case) -> None:
    """It gives ordinary samples finite numbers."""
    for row, value in enumerate(case.values):
        if not math.isfinite(value):
            returned = _numbers(case, range(len(case.batch))).tolist()[row]
            raise Broken(
                f"{case.shown(row)} got {returned}; if it is right that it cannot be scored, give "
                "the check samples and prompts that can"
            )


def within_range(case: Case) -> None:
    """Its numbers are between the bounds that it declares."""
    for row, value in enumerate(case.values):
        check_bounds(case, value, case.shown(row))


def check_bounds(case: Case, value: float, what: str) -> None:
    """Refuse a number outside the declared range, up to rounding; NaN is no number.

    Raises:
        Broken: it is outside.
    """
    low, high = case.reward.definition.range or (-math.inf, math.inf)
    slack = TOLERANCE * max(1.0, abs(value))
    if value < low - slack or value > high + slack:
        raise Broken(f"{what} got {value:.7g}, declared from {low:g} to {high:g}")


def _check_shape(case: Case, count: int) -> None:
    shape = list(_numbers(case, range(count)).shape)
    if shape != [count]:
        raise Broken(f"{_samples(count)} got numbers of shape {shape}, not [{count}]")


def _numbers(case: Case, rows: Sequence[int]) -> Any:
    """What the author's function returns for some rows, as float32.

    Raises:
        Broken: it raised, or returned something else.
    """
    result = _returned(case, rows)
    what = f"{_samples(len(rows))} got a {type(result).__name__}, not real numbers"
    if isinstance(result, (str, bytes, Mapping)):
        raise Broken(what)
    try:
        return case.batch.modality.numbers(result, keep_graph=False)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Broken(f"{what}: {one_line(error)}") from error


def _returned(case: Case, rows: Sequence[int]) -> Any:
    try:
        return case.call(case.batch.rows(rows))
    # The author's code may raise anything.
    except Exception as error:
        what = case.shown(rows[0]) if len(rows) == 1 else _samples(len(rows))
        raise Broken(f"{what} raised {one_line(error)}") from error


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"
