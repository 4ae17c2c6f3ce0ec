"""What became of a program's tests, for people: the detail of `code_tests`.

    {"python": true, "passed": 1, "count": 2, "tests": [
      {"call": "f(1)", "expected": "2", "got": "2", "passed": true},
      {"call": "f(0)", "expected": "1", "got": "raised ValueError: empty", "passed": false}]}

`python` is whether the text is that; `count` is of all tests, of which `tests` has the first. Where
nothing is known, since the sandbox failed or the tests are malformed, `python` and `passed` are
null and `problem` says why. Texts are short, and data: a program chooses what it returns or raises.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from rewards.code.cases import Case
from rewards.code.jail.values import encode
from rewards.code.sandbox import Answer, Call, Run
from rewards.code.shown import cut, shown

MOST_TESTS = 20

UNANSWERED = {
    "time": "no answer in time",
    "output": "no answer: the program reported too much",
    "ended": "no answer: the program ended",
}
"""By how the program ended."""


def of_run(run: Run, wanted: Sequence[Case], passed: Sequence[bool]) -> dict[str, Any]:
    """Of a program that was run: what it answered, and which answers are right."""
    if not run.compiled:
        return of_no_python(wanted)
    got = (_got(answer, run) for answer in run.answers)
    return _report(True, sum(passed), wanted, got, passed)


def of_no_python(wanted: Sequence[Case]) -> dict[str, Any]:
    """Of a text that is not Python."""
    count = len(wanted)
    return _report(False, 0, wanted, ["not Python"] * count, [False] * count)


def of_failure(reason: str, wanted: Sequence[Case] = ()) -> dict[str, Any]:
    """Of a program about which nothing is known."""
    count = len(wanted)
    report = _report(None, None, wanted, ["not known"] * count, [None] * count)
    return {**report, "problem": cut(" ".join(reason.split()))}


def _report(
    python: bool | None,
    right: int | None,
    wanted: Sequence[Case],
    got: Iterable[str],
    passed: Sequence[bool | None],
) -> dict[str, Any]:
    rows = zip(wanted, got, passed, strict=True)
    tests = [
        {
            "call": _call(case.call),
            "expected": shown(encode(case.expected)),
            "got": text,
            "passed": is_right,
        }
        for case, text, is_right in islice(rows, MOST_TESTS)
    ]
    return {"python": python, "passed": right, "count": len(wanted), "tests": tests}


def _call(call: Call) -> str:
    arguments = [shown(encode(value)) for value in call.arguments]
    arguments += [f"{name}={shown(encode(value))}" for name, value in call.keywords]
    return cut(f"{call.name}({', '.join(arguments)})")


def _got(answer: Answer, run: Run) -> str:
    if answer.kind == "value":
        return shown(answer.detail)
    if answer.kind == "none":
        return UNANSWERED.get(run.ended, UNANSWERED["ended"])
    told = answer.detail if isinstance(answer.detail, str) else "something"
    return cut(f"raised {told}" if answer.kind == "raised" else f"returned {told}")
