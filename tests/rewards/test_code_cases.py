"""The column `tests`."""

import pytest

from rewards import RewardError
from rewards.code.cases import Case, cases
from rewards.code.sandbox import Call


@pytest.mark.parametrize(
    ("test", "wanted"),
    [
        ({"call": "f", "args": [1, "a"], "expected": 3}, Case(Call("f", (1, "a")), 3)),
        ({"call": "f", "expected": None}, Case(Call("f"), None)),
        ({"call": "f", "kwargs": {"x": 1}, "expected": []}, Case(Call("f", (), (("x", 1),)), [])),
        ("assert f(1, 2) == 3", Case(Call("f", (1, 2)), 3)),
        ("  assert f(-1.5) == (True, None)\n", Case(Call("f", (-1.5,)), (True, None))),
        ("assert f([1], x={'a': (2,)}) == ''", Case(Call("f", ([1],), (("x", {"a": (2,)}),)), "")),
        ("assert f() == 1, 'f is 1'", Case(Call("f"), 1)),
        ("assert (f(2)) == (3)", Case(Call("f", (2,)), 3)),
    ],
)
def test_what_a_test_says(test, wanted):
    assert cases([test, test]) == [wanted, wanted]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "assert",
        "f(1) == 2",
        "assert f(1)",
        "assert not f(1)",
        "assert f(1) is True",
        "assert f(1) != 2",
        "assert 2 == f(1)",
        "assert f(1) == f(2)",
        "assert f(1) == 2 == 2",
        "assert f(1) == x",
        "assert f(x) == 1",
        "assert f(*[1]) == 1",
        "assert f(open('x')) == 1",
        "assert m.f(1) == 2",
        "assert set(f(1)) == {1}",
        "assert f(1) == 2\nassert f(2) == 3",
        "import os; assert f(1) == 2",
        "assert f(1) == 1 + 1",
        "assert f(" + "(" * 5000 + ") == 1",
    ],
)
def test_an_assertion_of_another_form_is_refused(line):
    with pytest.raises(RewardError) as caught:
        cases([line])
    assert str(caught.value).endswith("is not of the form assert f(1, 2) == 3, with literals")


@pytest.mark.parametrize("tests", [None, [], {}, "assert f(1) == 2", 3])
def test_tests_are_a_list(tests):
    with pytest.raises(RewardError, match=r"column 'tests' holds .*: give a list of one or more"):
        cases(tests)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (3, "neither a mapping of call, args, kwargs, expected nor a text"),
        ({"call": "f"}, "neither a mapping"),
        ({"call": "f", "expected": 1, "argz": []}, "neither a mapping"),
        ({"call": "f()", "expected": 1}, "'call' is the name of a function"),
        ({"call": "f", "args": 1, "expected": 1}, "'args' a list"),
        ({"call": "f", "kwargs": {1: 1}, "expected": 1}, "'kwargs' a mapping"),
        ({"call": "f", "expected": {1, 2}}, "holds a value of the type set"),
        ("assert f(b'x') == 1", "holds a value of the type bytes"),
    ],
)
def test_a_test_that_is_none_is_refused(test, message):
    with pytest.raises(RewardError, match=message):
        cases([test])
