"""Processes that tests start: quickly, with their output kept, and ended whatever happens.

Importing torch and diffusers takes seconds, so it is done once, in a server that forks itself for
each process. `commands` starts true command lines for what only they can show.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PRELOADED = "tests.support.preloaded"
PATIENCE = 240.0
"""Seconds after which a process counts as hanging."""

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
"""What these processes prove, they prove on the CPU, wherever they run."""

_CONTEXT = multiprocessing.get_context("forkserver")


class Processes:
    """Processes that belong together: the ranks of one run. Leaving the context ends them."""

    def __init__(self, started: Sequence[Any], logs: Sequence[Path]):
        """Hold processes that run, and the files that their output goes to."""
        self._started = started
        self._logs = logs

    def __enter__(self) -> Processes:
        """The processes, running."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Kill those that are left."""
        self.kill()

    @property
    def output(self) -> str:
        """What all of them have written so far, to both streams."""
        return "".join(log.read_text(errors="replace") for log in self._logs)

    def outputs(self) -> list[str]:
        """The same for each."""
        return [log.read_text(errors="replace") for log in self._logs]

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self._started]

    def send(self, number: int, rank: int = 0) -> None:
        """Send one of them a signal."""
        os.kill(self._started[rank].pid, number)

    def kill(self) -> None:
        """SIGKILL all that still run, and wait until they are gone."""
        for process in self._started:
            if process.exitcode is None:
                process.kill()
        for process in self._started:
            process.join(PATIENCE)

    def wait(self, timeout: float = PATIENCE) -> list[int]:
        """The exit codes of all, minus the signal where one killed it.

        Raises:
            AssertionError: one hangs; the message has its output.
        """
        deadline = time.monotonic() + timeout
        for process in self._started:
            process.join(max(0.0, deadline - time.monotonic()))
        codes = [process.exitcode for process in self._started]
        if None in codes:
            self.kill()
            raise AssertionError(f"hangs after {timeout} s, exit codes {codes}:\n{self.output}")
        return codes

    def wait_for(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Return once `condition()` holds.

        Raises:
            AssertionError: it did not come to hold, or the processes ended before.
        """
        wait_until(
            lambda: condition() or all(p.exitcode is not None for p in self._started), timeout
        )
        assert condition(), f"the processes ended too early:\n{self.output}"

    def wait_for_first(self, timeout: float = PATIENCE) -> int:
        """The exit code of the first one to end."""
        wait_until(lambda: any(p.exitcode is not None for p in self._started), timeout)
        return next(p.exitcode for p in self._started if p.exitcode is not None)


def fork(
    target: Callable[..., int | None],
    *arguments: Any,
    cwd: Path,
    count: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Processes:
    """Run `target(*arguments)` in `count` processes that can join in one group (gloo).

    Args:
        target: an importable function; what it returns is the exit code.
        arguments: can be pickled.
        cwd: where they run; their output goes to files in it.
        count: how many; several get the variables with which torch's launchers introduce them.
        environment: more variables.
    """
    _ensure_server()
    cwd.mkdir(parents=True, exist_ok=True)
    shared = dict(environment or {})
    if count > 1:
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    started, logs = [], []
    for rank in range(count):
        ranked = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        log = _new_log(cwd, rank)
        process = _CONTEXT.Process(
            target=_child,
            args=(target, arguments, str(cwd), shared | (ranked if count > 1 else {}), str(log)),
            daemon=True,
        )
        process.start()
        started.append(process)
        logs.append(log)
    return Processes(started, logs)


def run_command(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> Processes:
    """Start a true command line, in a session of its own."""
    cwd.mkdir(parents=True, exist_ok=True)
    log = _new_log(cwd, 0)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("wb") as output:
        process = _Command(
            [str(argument) for argument in arguments],
            cwd=cwd,
            env={**os.environ, **NO_GPU, "PYTHONPATH": path, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Processes([process], [log])


@dataclass
class _Command(subprocess.Popen):
    """A command with the four names that `Processes` uses of a multiprocessing process."""

    def __init__(self, *arguments: Any, **options: Any):
        """Start it."""
        super().__init__(*arguments, **options)

    @property
    def exitcode(self) -> int | None:
        """As in multiprocessing."""
        return self.poll()

    def join(self, timeout: float | None = None) -> None:
        """Wait, at most so long."""
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            return

    def kill(self) -> None:
        """Kill the whole session: a launcher does not leave its children."""
        os.killpg(self.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Return once `condition()` holds.

    Raises:
        AssertionError: it did not come to hold.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {timeout} s"
        time.sleep(0.02)


def _child(
    target: Callable[..., int | None],
    arguments: Sequence[Any],
    cwd: str,
    environment: dict[str, str],
    log: str,
) -> None:
    """What a forked process does."""
    with open(log, "wb") as output:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    faulthandler.enable()
    # Ignored in all children of a shell's background job, which tests may be.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(NO_GPU | environment)
    os.chdir(cwd)
    sys.exit(target(*arguments))


def _ensure_server() -> None:
    """Start the server, where it can import this folder."""
    _CONTEXT.set_forkserver_preload([PRELOADED])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [before])])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _new_log(cwd: Path, rank: int) -> Path:
    """A file that no earlier process wrote to."""
    log = cwd / f"output-{len(list(cwd.glob('output-*')))}-{rank}.txt"
    log.touch()
    return log


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
