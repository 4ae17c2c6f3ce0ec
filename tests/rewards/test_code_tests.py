import math

import pytest

import rewards
from rewards import RewardError
from tests.support.sandboxes import sandbox_or_skip

GOOD = "def f(x):\n    return x + 1\n"
TESTS = [
    {"call": "f", "args": [1], "expected": 2},
    "assert f(2) == 3",
    "assert f(-1) == 0",
    "assert f(x=10) == 11",
]


@pytest.fixture(scope="module", autouse=True)
def _possible():
    sandbox_or_skip(workers=1).close()


@pytest.fixture(scope="module")
def fraction():
    made = rewards.make("code_tests", workers=2, seconds=1.0)
    yield made
    made.function._sandbox.close()


@pytest.fixture(scope="module")
def graded():
    made = rewards.make("code_tests", workers=2, seconds=1.0, returns="graded")
    yield made
    made.function._sandbox.close()


# A program, the fraction of TESTS that it passes, and what CodeRL gives for it.
PROGRAMS = [
    (GOOD, 1, 1),
    ("f = lambda x: x + 1.0", 1, 1),
    ("def f(x): return 2", 1 / 4, -0.3),
    ("def f(x): return abs(x) + 1", 3 / 4, -0.3),
    ("def f(x): return None", 0, -0.3),
    ("def f(x): return {x}", 0, -0.3),  # not a plain value
    ("def f(x): return 1 / 0", 0, -0.6),
    ("def f(x): return 1 // (x - 2) * 0 + x + 1", 3 / 4, -0.6),
    ("def g(x): return x + 1", 0, -0.6),
    ("def f(): return 1", 0, -0.6),
    ("f = 3", 0, -0.6),
    (GOOD + "raise ValueError", 0, -0.6),
    (GOOD + "import no_such_module", 0, -0.6),
    (GOOD + "exit()", 0, -0.6),
    (GOOD + "while True: pass", 0, -0.6),
    ("def f(x):\n    while x == -1: pass\n    return x + 1", 2 / 4, -0.6),
    ("def f(x) return x + 1", 0, -1),
    ("", 0, -1),
    ("I would add one.", 0, -1),
    ("x = 1\nreturn x", 0, -1),  # parses, and does not compile
    (f"Here it is:\n```python\n{GOOD}```\nIt adds one.", 1, 1),
    (GOOD + "if __name__ == '__main__':\n    print(f(int(input())))\n", 1, 1),
]


def test_the_fraction_of_tests_passed(fraction):
    texts = [text for text, _, _ in PROGRAMS]
    values = fraction(texts, texts, tests=[TESTS] * len(texts)).tolist()
    assert values == pytest.approx([wanted for _, wanted, _ in PROGRAMS])


def test_graded_returns(graded):
    texts = [text for text, _, _ in PROGRAMS]
    values = graded(texts, texts, tests=[TESTS] * len(texts)).tolist()
    assert values == pytest.approx([wanted for _, _, wanted in PROGRAMS])


def test_all_or_nothing():
    made = rewards.make("code_tests", workers=1, seconds=1.0, returns="all")
    half = "def f(x): return 1"
    tests = [{"call": "f", "args": [x], "expected": 1 if x else 0} for x in (0, 1)]
    passes = "def f(x): return int(x > 0)"
    values = made([passes, half, "no python ("], [""] * 3, tests=[tests] * 3)
    assert values.tolist() == [1, 0, 0]
    assert made.definition.range == (0.0, 1.0)


def test_each_text_has_tests_of_its_own(fraction):
    tests = [["assert f(1) == 2"], ["assert f(1) == 3"], ["assert f(1) == 2", "assert f(1) == 3"]]
    assert fraction([GOOD] * 3, [""] * 3, tests=tests).tolist() == [1, 0, 0.5]
    assert fraction([], [], tests=[]).tolist() == []


@pytest.mark.parametrize("expected", [None, "", [], {}, 0, False])
def test_a_program_that_raises_returns_nothing_that_is_empty(fraction, expected):
    tests = [[{"call": "f", "args": [1], "expected": expected}]]
    for source in ("def f(x): raise ValueError", "import os\ndef f(x): os._exit(0)", "g = 1"):
        assert fraction([source], [""], tests=tests).item() == 0
    assert fraction([f"def f(x): return {expected!r}"], [""], tests=tests).item() == 1


def test_arguments_are_new_for_each_test(fraction):
    source = "def f(x):\n    x.append(1)\n    return x"
    tests = [[{"call": "f", "args": [[]], "expected": [1]}] * 3]
    assert fraction([source], [""], tests=tests).item() == 1


def test_tests_that_are_none_are_no_fault_of_the_program(fraction):
    scored = fraction.score([GOOD] * 3, ["p", "q", "r"], {"tests": [TESTS, [], ["assert f(1)"]]})
    assert scored.values.tolist() == pytest.approx([1, math.nan, math.nan], nan_ok=True)
    assert [failure.row for failure in scored.failures] == [1, 2]
    assert scored.failures[0].reason == "column 'tests' holds []: give a list of one or more tests"
    assert "'assert f(1)' is not of the form assert f(1, 2) == 3" in scored.failures[1].reason


def test_the_column_is_required(fraction):
    with pytest.raises(RewardError, match="'code_tests' needs the column 'tests'"):
        fraction([GOOD], ["p"])


def test_what_it_declares(fraction, graded):
    assert fraction.definition.range == (0, 1)
    assert graded.definition.range == (-1, 1)
    assert rewards.definition("code_tests").columns == ("tests",)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"returns": "codeRL"}, "returns='codeRL'"),
        ({"seconds": 0}, "seconds=0"),
        ({"memory": 1}, "memory=1"),
        ({"level": "none"}, "level='none'"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_a_bad_option_is_named(options, named):
    with pytest.raises(RewardError, match=named):
        rewards.make("code_tests", **options)


def test_fences_can_be_left_alone():
    made = rewards.make("code_tests", workers=1, fenced=False)
    fenced = f"```python\n{GOOD}```"
    assert made([GOOD, fenced], ["p"] * 2, tests=[TESTS] * 2).tolist() == [1, 0]
    made.function._sandbox.close()


def test_a_program_that_is_too_long_is_not_run(fraction):
    longest = GOOD + "#" * (100_000 - len(GOOD))
    assert fraction([longest, longest + "#"], ["p"] * 2, tests=[TESTS] * 2).tolist() == [1, 0]
