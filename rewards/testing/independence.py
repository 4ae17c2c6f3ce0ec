"""Properties of a number: that it depends on its sample alone, or, of a group reward, on its group.

Each failure is shown with the smallest batch that has it.
"""

from collections.abc import Sequence
from itertools import combinations

from rewards.testing.case import Case, differ, first_difference
from rewards.testing.finding import Broken, NotChecked


def determinism(case: Case) -> None:
    """A second call gives the same numbers."""
    _require_deterministic(case)
    row = first_difference(case.values, again := case.score(case.batch))
    if row is None:
        return
    [first], [second] = case.alone(row), case.alone(row)
    what = f"{case.shown(row)}, scored twice alone,"
    if not differ(first, second):
        what = f"{case.shown(row)}, in a batch of {len(case.batch)} scored twice,"
        first, second = case.values[row], again[row]
    raise Broken(f"{what} got {first:.7g} and {second:.7g}; declare deterministic=False, or seed")


def order(case: Case) -> None:
    """Samples get the same numbers in another order."""
    _require_deterministic(case)
    everything = tuple(range(len(case.batch)))
    if _disorder(case, everything):
        smallest_first = [*combinations(everything, 2), everything]
        raise Broken(next(filter(None, (_disorder(case, rows) for rows in smallest_first))))


def batch_split(case: Case) -> None:
    """Samples get the same numbers whatever the batch size; in a group reward, groups do."""
    _require_deterministic(case)
    everything = range(len(case.batch))
    if case.reward.definition.group:
        parts = _groups(case.batch.prompts)
    else:
        parts = [*([row] for row in everything), everything[: len(everything) // 2]]
    for rows in parts:
        place = first_difference(
            case.score(case.batch.rows(rows)), [case.values[row] for row in rows]
        )
        if place is not None:
            raise Broken(_company_matters(case, rows, place))


def _disorder(case: Case, rows: Sequence[int]) -> str:
    """How the order of these rows changes a number; empty if it does not."""
    forwards = case.score(case.batch.rows(rows))
    backwards = case.score(case.batch.rows(rows[::-1]))[::-1]
    place = first_difference(forwards, backwards)
    if place is None:
        return ""
    return (
        f"{case.shown(rows[place])} got {forwards[place]:.7g} in a batch of rows {list(rows)} "
        f"and {backwards[place]:.7g} in one of rows {list(rows[::-1])}"
    )


def _company_matters(case: Case, rows: Sequence[int], place: int) -> str:
    """How the other rows of the batch change a number: one of them if that is enough, or all."""
    before = case.score(case.batch.rows(rows))[place]
    everything = range(len(case.batch))
    together, after = list(everything), case.values[rows[place]]
    for added in sorted(set(everything).difference(rows)):
        number = case.score(case.batch.rows([*rows, added]))[place]
        if differ(before, number):
            together, after = [*rows, added], number
            break
    return (
        f"{case.shown(rows[place])} got {before:.7g} in a batch of rows {list(rows)} "
        f"and {after:.7g} in one of rows {together}"
    )


def _groups(prompts: Sequence[str]) -> list[list[int]]:
    return [
        [row for row, prompt in enumerate(prompts) if prompt == wanted]
        for wanted in dict.fromkeys(prompts)
    ]


def _require_deterministic(case: Case) -> None:
    if not case.reward.definition.deterministic:
        raise NotChecked("declared not deterministic")
