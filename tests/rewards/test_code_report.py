"""What `code_tests` tells of a program: each test with what came, in few and harmless words."""

import json
import math

import pytest

import rewards
from rewards.code import report
from rewards.code.cases import cases
from rewards.code.jail.values import encode
from rewards.code.sandbox import Answer, Call, Run, Unrun
from rewards.code.shown import MOST_CHARACTERS, cut, shown
from rewards.explained import Explained, problem
from tests.support.sandboxes import sandbox_or_skip

TESTS = ["assert f(1) == 2", "assert f(x=2) == 3", {"call": "f", "args": [0], "expected": 1}]
CALLS = ["f(1)", "f(x=2)", "f(0)"]
STUCK = "def f(x):\n    while x == 2: pass\n    return x + 1\n"


@pytest.fixture(scope="module")
def made():
    sandbox_or_skip(workers=1).close()
    made = rewards.make("code_tests", workers=2, seconds=1.0)
    yield made
    made.function._sandbox.close()


def told(made, text, tests=TESTS):
    scored = made.score([text], ["p"], {"tests": [tests]})
    return scored.details[0]


# A program, whether it is Python, what came of each test, and which were right.
PROGRAMS = [
    ("def f(x): return max(x, 1) + 1", True, ["2", "3", "2"], [True, True, False]),
    ("def f(x): return 2 / x", True, ["2.0", "1.0", "raised ZeroDivisionError: division by zero"],
     [True, False, False]),
    ("def f(x): return {x}", True, ["returned a value of the type set"] * 3, [False] * 3),
    ("def f(x): return y", True, ["raised NameError: name 'y' is not defined"] * 3, [False] * 3),
    ("def f(x): raise KeyError", True, ["raised KeyError"] * 3, [False] * 3),
    ("def f(x): raise ValueError('one\\ntwo')", True, ["raised ValueError: one"] * 3, [False] * 3),
    ("import no", True, ["raised ModuleNotFoundError: No module named 'no'"] * 3, [False] * 3),
    ("def f(x): return", True, ["None"] * 3, [False] * 3),
    (STUCK, True, ["2", "no answer in time", "no answer in time"], [True, False, False]),
    ("def f(x):\n    if x == 2: raise SystemExit\n    return x + 1", True,
     ["2", "raised SystemExit", "1"], [True, False, True]),
    ("import os\ndef f(x): os._exit(0)", True, ["no answer: the program ended"] * 3, [False] * 3),
    ("import os\nwhile True: os.write(3, b'x' * 10**5)", True,
     ["no answer: the program reported too much"] * 3, [False] * 3),
    ("def f(x) return 1", False, ["not Python"] * 3, [False] * 3),
    ("return 1", False, ["not Python"] * 3, [False] * 3),  # parses, and does not compile
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "python", "got", "passed"), PROGRAMS, ids=[text[:40] for text, *_ in PROGRAMS]
)
def test_each_test_with_its_call_and_what_came(made, text, python, got, passed):
    assert told(made, text) == {
        "python": python,
        "passed": sum(passed),
        "count": 3,
        "tests": [
            {"call": call, "expected": expected, "got": came, "passed": right}
            for call, expected, came, right in zip(CALLS, "231", got, passed, strict=True)
        ],
    }


def test_what_is_not_known_is_said(made, monkeypatch):
    malformed = made.score(["f = 1"], ["p"], {"tests": [["assert f(1)"]]})
    assert malformed.details[0]["problem"] == malformed.failures[0].reason
    assert malformed.details[0] == {
        "python": None,
        "passed": None,
        "count": 0,
        "tests": [],
        "problem": "test 'assert f(1)' is not of the form assert f(1, 2) == 3, with literals",
    }
    broken = [Unrun("the sandbox\nbroke" + "!" * 300)]
    monkeypatch.setattr(made.function._sandbox, "run", lambda programs: broken)
    scored = made.score(["f = 1"], ["p"], {"tests": [TESTS]})
    assert math.isnan(scored.values[0])
    detail = scored.details[0]
    assert (detail["python"], detail["passed"], detail["count"]) == (None, None, 3)
    assert {(test["got"], test["passed"]) for test in detail["tests"]} == {("not known", None)}
    assert detail["problem"].startswith("the sandbox broke!!!")
    assert len(detail["problem"]) == MOST_CHARACTERS


def test_an_error_is_told_without_running_code_of_the_program(made):
    source = """
class Slow(Exception):
    args = property(lambda self: iter(int, 1))
    def __str__(self):
        while True: pass
    __repr__ = __format__ = __str__
class Text(str):
    def splitlines(self, *_):
        while True: pass
    __getitem__ = __format__ = splitlines
def f(x):
    raise Slow(Text("slow")) if x else Slow("fast")
"""
    came = [test["got"] for test in told(made, source)["tests"]]
    assert came == ["raised Slow", "raised Slow", "raised Slow: fast"]


def test_many_tests_and_long_texts_are_cut(made):
    tests = [{"call": "f", "args": ["y" * 999], "expected": list(range(999))}] * 25
    detail = told(made, "def f(x): return [x] * 99", tests)
    assert (detail["count"], len(detail["tests"])) == (25, report.MOST_TESTS)
    first = detail["tests"][0]
    for name, start in (("call", "f('yyy"), ("expected", "[0, 1, 2"), ("got", "['yyy")):
        assert first[name].startswith(start)
        assert first[name].endswith("…")
        assert len(first[name]) == MOST_CHARACTERS
    assert len(told(made, "no Python", tests)["tests"]) == report.MOST_TESTS


def test_the_worst_that_a_program_can_claim_is_a_detail_that_is_taken():
    wanted = cases([{"call": "f", "args": ["\U0001f600" * 300], "expected": '"\\' * 300}] * 99)
    worst = Answer("raised", "\x01\ud800" * 300)
    detail = report.of_run(Run(True, (worst,) * 99), wanted, [False] * 99)
    assert problem(Explained([1.0], {}, {0: detail}), 1, {}) == ""
    assert json.loads(json.dumps(detail)) == detail


@pytest.mark.parametrize(
    "value",
    [None, True, -3, 2**53, 2**60, 1.5, math.inf, "it's \"so\"\n", "\u202e", [], [1, [2]], (),
     (1,), (1, "a"), {}, {"a": [1], 2: None}, {(1, 2): (3,)}],
)  # fmt: skip
def test_a_short_value_is_written_as_python_writes_it(value):
    assert shown(encode(value)) == repr(value)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ([], "?"),
        ({}, "?"),
        (["x"], "?"),
        ([1], "?"),
        ([["l"]], "?"),
        (["i"], "?"),
        (["i", "no"], "?"),
        (["i", 3], "?"),
        (["l", {}, 1], "[?, 1]"),
        (["d", 1, [1], ["a", 2]], "{?, ?, 'a': 2}"),
    ],
)
def test_what_is_no_value_is_a_question_mark(wire, text):
    assert shown(wire) == text


def test_large_claims_are_read_no_further_than_is_shown():
    deep: list = ["l"]
    for _ in range(900):
        deep = ["l", deep]
    assert shown(deep) == "[" * (MOST_CHARACTERS - 1) + "…"
    assert shown(["i", "0x" + "f" * 9999]) == "0x" + "f" * (MOST_CHARACTERS - 3) + "…"
    assert shown("é" * 10**6) == "'" + "é" * (MOST_CHARACTERS - 2) + "…"
    assert cut("\ud800") == "?"
    assert report._call(Call("f", (1,), (("x", [2]),))) == "f(1, x=[2])"
