"""Programs run in isolation, a batch at a time, over several launchers."""

import json
import os
import queue
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from rewards.code.jail.values import encode
from rewards.code.worker import Level, Reached, SandboxError, Worker


@dataclass(frozen=True)
class Call:
    """A function of a program, and what it is called with: plain values."""

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a program claims about one call.

    Attributes:
        kind: "value"; "other" for a value that is not plain; "raised"; "none" when the program
            ended, or was ended, before it answered.
        detail: the value as typed JSON, or in words what was returned or raised, as the program
            claims: anything at all.
    """

    kind: Literal["value", "other", "raised", "none"]
    detail: Any = None


@dataclass(frozen=True)
class Run:
    """What became of a program.

    Attributes:
        compiled: whether it is Python.
        answers: one for each call.
        ended: how its process did, as in `jail/runner.py`.
    """

    compiled: bool
    answers: tuple[Answer, ...]
    ended: str = "ended"


@dataclass(frozen=True)
class Unrun:
    """A program about which nothing is known, since the sandbox failed, and why."""

    reason: str


class Sandbox:
    """Launchers that wait for programs. Starting the first one shows the level that can be had.

    Args:
        level: what is required; see `docs/code-rewards.md`.
        workers: launchers, of which each runs one program at a time; None for one a core.
        seconds: that one program may take for all its calls.
        memory: MiB of address space for one program.
        most: a higher level than this is not tried.

    Raises:
        SandboxError: the required level cannot be had; no program is ever run below it.
    """

    def __init__(
        self,
        level: Level = "full",
        *,
        workers: int | None = None,
        seconds: float = 2.0,
        memory: int = 256,
        most: Level = "full",
    ) -> None:
        self.seconds = seconds
        self.memory = memory
        first = Worker(level, most)
        self.reached = first.start()
        count = workers or len(os.sched_getaffinity(0))
        self._workers = [*(Worker(level, most) for _ in range(count - 1)), first]
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()  # few programs start few launchers
        for worker in self._workers:
            self._idle.put(worker)
        self._end = weakref.finalize(self, _close, self._workers)

    def run(self, programs: Sequence[tuple[str, Sequence[Call]]]) -> list[Run | Unrun]:
        """Run each program and make its calls, one after another, in a process of its own.

        Args:
            programs: source and calls of each.
        """
        with ThreadPoolExecutor(len(self._workers)) as pool:
            return list(pool.map(self._run, programs))

    def close(self) -> None:
        """End the launchers."""
        self._end()

    def _run(self, program: tuple[str, Sequence[Call]]) -> Run | Unrun:
        source, calls = program
        job = {
            "source": source,
            "calls": [
                [call.name, encode(list(call.arguments)), encode(dict(call.keywords))]
                for call in calls
            ],
            "seconds": self.seconds,
            "memory": self.memory,
        }
        worker = self._idle.get()
        try:
            try:
                ended, output = worker.run(job)
            except SandboxError:  # once more, in another launcher
                ended, output = worker.run(job)
        except SandboxError as error:
            return Unrun(str(error))
        finally:
            self._idle.put(worker)
        return read(output, len(calls), ended)


def probe() -> Reached:
    """The level that the sandbox reaches here, for a report.

    Raises:
        SandboxError: it cannot be started.
    """
    return Worker("filtered").probe()


def read(output: bytes, calls: int, ended: str = "ended") -> Run | Unrun:
    """What a program's process reported, line by line; see `jail/program.py`.

    From the second line on it may be anything: the program can write there itself. The lines count
    in their order, one for each call, and what is no answer ends them.
    """
    lines = output.split(b"\n")[:-1]  # the last one is unfinished, or empty
    if _line(lines[0] if lines else b"") != ["ready"]:
        reason = output[:200].decode(errors="replace") or "its process ended"
        return Unrun(f"the sandbox broke: a program could not be started: {reason}")
    begun = _line(lines[1]) if len(lines) > 1 else []
    answers = []
    if begun == ["loaded"]:
        for line in lines[2 : 2 + calls]:
            answer = _answer(_line(line))
            if answer is None:
                break
            answers.append(answer)
    missing = Answer("raised", begun[-1]) if begun[:1] == ["raised"] else Answer("none")
    return Run(
        compiled=begun[:1] != ["uncompilable"],
        answers=(*answers, *[missing] * (calls - len(answers))),
        ended=ended,
    )


def _line(line: bytes) -> list[Any]:
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return words if type(words) is list else []


def _answer(words: list[Any]) -> Answer | None:
    if len(words) != 2 or words[0] not in ("value", "other", "raised"):
        return None
    return Answer(words[0], words[1])


def _close(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close()
