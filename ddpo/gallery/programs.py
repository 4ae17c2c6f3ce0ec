"""Completions that are programs: known by the results of their tests, which a reward told of them.

Like all data of a run they may be anything: what has not the form that `rewards/code/report.py`
writes is left out, and nothing is ever run or guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from ddpo.gallery.formatting import counted
from rewards.code.report import MOST_TESTS


class Test(BaseModel):
    """One test; `passed` is None where that is not known."""

    model_config = ConfigDict(strict=True)

    call: str
    expected: str
    got: str
    passed: bool | None


class Results(BaseModel):
    """What became of a program's tests.

    Attributes:
        python: whether it is Python; None where nothing is known.
        passed: how many of all tests; None where nothing is known.
        count: of all tests.
        tests: the first ones.
        problem: why nothing is known; empty where it is.
    """

    model_config = ConfigDict(strict=True)

    python: bool | None
    passed: NonNegativeInt | None
    count: NonNegativeInt
    tests: list[Test]
    problem: str = ""

    @property
    def summary(self) -> str:
        """How many tests are passed, in words."""
        tests = counted(self.count, "test")
        return f"{tests}, not run" if self.passed is None else f"{self.passed:,} of {tests} passed"


def results_of(details: object) -> Results | None:
    """The first results of tests among what rewards told of a sample; None where there are none.

    Args:
        details: of an entry of the index, by reward: anything at all.
    """
    for told in details.values() if isinstance(details, Mapping) else ():
        try:
            found = Results.model_validate(told)
        except ValidationError:
            continue
        return found.model_copy(update={"tests": found.tests[:MOST_TESTS]})
    return None
