"""Tasks, their tests, and programs that pass them or do not."""

import copy
from itertools import islice
from typing import Any

import numpy as np
import pytest

from ddpo.worlds.texts.programs import Task, families, tasks
from ddpo.worlds.texts.programs.family import Family
from ddpo.worlds.texts.programs.tasks import distinct_tasks, draw_task
from rewards.code.cases import cases

EVERY_FAMILY = [*families(), *families(held_out=True)]


def passes(program: str, tests: list[dict[str, Any]]) -> bool:
    """Whether a program of this package passes: run here, since it is trusted."""
    names: dict[str, Any] = {}
    exec(program, names)
    try:
        answers = [names[test["call"]](*copy.deepcopy(test["args"])) for test in tests]
    except (TypeError, ZeroDivisionError):
        return False
    wanted = [test["expected"] for test in tests]
    return [(type(a), a) for a in answers] == [(type(w), w) for w in wanted]


def drawn(family: Family, seed: int = 0) -> Task:
    return draw_task(family, np.random.default_rng(seed))


def named(name: str, seed: int = 0) -> Task:
    return drawn(next(family for family in EVERY_FAMILY if family.name == name), seed)


@pytest.mark.parametrize("family", EVERY_FAMILY, ids=lambda family: family.name)
def test_right_programs_pass_and_wrong_ones_do_not(family: Family) -> None:
    rng = np.random.default_rng(0)
    for task in (draw_task(family, rng) for _ in range(30)):
        assert passes(task.right, task.tests), task
        for wrong in task.wrong:
            assert not passes(wrong, task.tests), (task.prompt, wrong)


def test_a_task_written_by_hand() -> None:
    task = named("sum_with_multiple")
    assert task.prompt == "# result(i, v): i plus 7 times v\n"
    assert task.right == "def result(i, v):\n    return i + 7 * v\n"
    assert task.wrong[0] == "def result(i, v):\n    return 7 * i + v\n"
    assert task.tests[0] == {"call": "result", "args": [7, 3], "expected": 28}


def test_a_body_of_several_lines() -> None:
    task = named("zero_below")
    assert task.right.splitlines()[1:] == ["    if i < 4:", "        return 0", "    return i"]


def test_values_that_were_worked_out_by_hand() -> None:
    expected = {
        "quotient": {(-4,): -1},
        "parity_name": {(-4,): "even"},
        "last_letters_reversed": {("racecar",): "race"},
        "words_joined": {("a new barn",): "a-new-barn"},
        "product": {((3, 8, 1, 12, 5),): 1440},
        "ends": {((3, 8, 1, 12, 5),): 8},
        "sum_odd": {((3, 8, 1, 12, 5),): 9},
        "number_odd": {((3, 8, 1, 12, 5),): 3},
    }
    for name, values in expected.items():
        found = {}
        for test in named(name).tests:
            key = tuple(tuple(arg) if isinstance(arg, list) else arg for arg in test["args"])
            found[key] = test["expected"]
        assert values.items() <= found.items(), name


def test_the_reward_reads_the_tests() -> None:
    for family in EVERY_FAMILY:
        task = drawn(family)
        assert len(cases(task.tests)) == len(task.tests) >= 4


def test_there_are_several_dozen_families_and_some_are_held_out() -> None:
    assert len(families()) == 59
    assert len(families(held_out=True)) == 11
    assert len({family.name for family in EVERY_FAMILY}) == 70


def test_tasks_take_the_families_in_turn_from_their_side_of_the_split() -> None:
    for held_out in (False, True):
        found = list(islice(tasks(0, held_out), 118))
        assert [task.family for task in found] == families() * 2
        assert {task.held_out for task in found} == {held_out}
    assert [task.family for task in islice(tasks(0, held_out_families=True), 11)] == families(True)


def test_tasks_depend_on_the_seed() -> None:
    first = [task.prompt for task in distinct_tasks(200, seed=2)]
    assert len(set(first)) == 200
    assert first == [task.prompt for task in distinct_tasks(200, seed=2)]
    assert first != [task.prompt for task in distinct_tasks(200, seed=3)]
