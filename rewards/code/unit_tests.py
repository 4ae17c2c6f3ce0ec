"""Whether programs pass their tests, run in a sandbox."""

import dataclasses
from collections.abc import Sequence
from math import nan
from typing import Annotated, Any, Literal

from pydantic import Field

from rewards.code import report
from rewards.code.cases import Case, cases
from rewards.code.comparison import matches
from rewards.code.compile import parses
from rewards.code.fences import program_in
from rewards.code.sandbox import Answer, Run, Sandbox
from rewards.code.worker import Level
from rewards.definition import Definition
from rewards.errors import RewardError
from rewards.explained import Explained
from rewards.registry import reward

NOT_PYTHON, FAILED_TO_RUN, FAILED_A_TEST, PASSED = -1.0, -0.6, -0.3, 1.0
"""The returns of CodeRL (Le et al., 2022), section 3.2."""
LONGEST = 100_000
"""Characters of a program; a longer one counts as one that is not Python."""


def range_of_returns(made: "CodeTests", definition: Definition) -> Definition:
    """What is known once the reward is made: only grades are below 0."""
    low = NOT_PYTHON if made.returns == "graded" else 0.0
    return dataclasses.replace(definition, range=(low, PASSED))


@reward(
    "code_tests",
    modality="text",
    columns=("tests",),
    range=(NOT_PYTHON, PASSED),
    refine=range_of_returns,
)
class CodeTests:
    """How many of its tests a program passes, run in a sandbox.

    A program that is not Python, raises, ends itself, takes too long or reports too much has failed
    the tests that it has not answered. A sample that the sandbox could not run has no number.

    Args:
        returns: "fraction" of the tests passed, in [0, 1]; "all", 1 for a program that passes all
            of them and 0 for any other, whose mean is the pass rate; or "graded" as in CodeRL: -1
            for a text that is not Python, -0.6 for a program that raises or does not end, -0.3 for
            one that fails a test, 1 for one that passes all.
        seconds: that a program may take for all its tests.
        memory: MiB that a program may take.
        level: of isolation, without which nothing is run: "full", or "filtered" where the machine
            allows no namespaces; see `docs/code-rewards.md`.
        workers: programs that run at once; None for as many as there are cores.
        fenced: where a text has a block between ```python and ```, that is the program.

    Raises:
        SandboxError: the level cannot be had on this machine.
    """

    def __init__(
        self,
        returns: Literal["fraction", "all", "graded"] = "fraction",
        seconds: Annotated[float, Field(gt=0, le=600)] = 2.0,
        memory: Annotated[int, Field(ge=64)] = 256,
        level: Level = "full",
        workers: Annotated[int, Field(gt=0)] | None = None,
        fenced: bool = True,
    ) -> None:
        self.returns = returns
        self.fenced = fenced
        self._sandbox_options: dict[str, Any] = {
            "level": level,
            "workers": workers,
            "seconds": seconds,
            "memory": memory,
        }
        # At once, so that a machine on which nothing may be run is known before training begins.
        self._sandbox = Sandbox(**self._sandbox_options)

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[str], *, tests: Sequence[Any]
    ) -> Explained:
        """A number for each text, NaN with a reason where the sandbox or the tests are at fault,
        and for each a `report`.

        Args:
            texts: programs.
            prompts: not used.
            tests: column, a list of tests for each text: see `rewards/code/cases.py`.
        """
        numbers, reasons, details, programs = [nan] * len(texts), {}, {}, {}
        for row, (text, listed) in enumerate(zip(texts, tests, strict=True)):
            try:
                wanted = cases(listed)
            except RewardError as error:
                reasons[row] = str(error)
                details[row] = report.of_failure(str(error))
                continue
            source = program_in(text) if self.fenced else text
            if len(source) <= LONGEST and parses(source):
                programs[row] = source, wanted
            else:
                numbers[row] = NOT_PYTHON if self.returns == "graded" else 0.0
                details[row] = report.of_no_python(wanted)
        runs = self._sandbox.run(
            [(source, [case.call for case in wanted]) for source, wanted in programs.values()]
        )
        for (row, (_, wanted)), run in zip(programs.items(), runs, strict=True):
            if isinstance(run, Run):
                passed = [_passed(*pair) for pair in zip(run.answers, wanted, strict=True)]
                numbers[row] = self._number(run, passed)
                details[row] = report.of_run(run, wanted, passed)
            else:
                reasons[row] = run.reason
                details[row] = report.of_failure(run.reason, wanted)
        return Explained(numbers, reasons, details)

    def __getstate__(self) -> dict[str, Any]:
        """All but the launchers, which another process starts for itself."""
        return {name: value for name, value in vars(self).items() if name != "_sandbox"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start launchers of its own.

        Raises:
            SandboxError: the level cannot be had there.
        """
        vars(self).update(state)
        self._sandbox = Sandbox(**self._sandbox_options)

    def _number(self, run: Run, passed: Sequence[bool]) -> float:
        if self.returns == "fraction":
            return sum(passed) / len(passed)
        if self.returns == "all":
            return float(all(passed))
        if not run.compiled:
            return NOT_PYTHON
        if any(answer.kind in ("raised", "none") for answer in run.answers):
            return FAILED_TO_RUN
        return PASSED if all(passed) else FAILED_A_TEST


def _passed(answer: Answer, case: Case) -> bool:
    return answer.kind == "value" and matches(case.expected, answer.detail)
