"""One launcher process, as the trainer sees it: started, given programs, ended."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rewards.code.jail import frames
from rewards.errors import UnavailableError

Level = Literal["full", "filtered"]
LEVELS = ("none", "filtered", "full")
"""From no walls at all, at which nothing is run, to all of them."""

START_SECONDS = 30.0
GRACE = 5.0
"""Seconds beyond a program's limit after which the launcher itself counts as broken."""
MANUAL = "docs/code-rewards.md"

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from jail.launcher import main; main(*sys.argv[2:])"
)


class SandboxError(UnavailableError):
    """The sandbox cannot run programs: nothing is known about the programs themselves."""


@dataclass(frozen=True)
class Reached:
    """What a launcher reached, and with what, in words."""

    level: str
    how: str

    def __str__(self) -> str:
        return f"{self.level} ({self.how})"


@dataclass
class Worker:
    """A launcher, started when it is first needed.

    Attributes:
        required: the level below which no program is run.
        most: a higher level than this is not tried.
    """

    required: Level
    most: Level = "full"
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _owner: int = field(default=0, init=False, repr=False)

    def start(self) -> Reached:
        """Start the launcher, and have it isolate itself and try its walls.

        Raises:
            SandboxError: it could not be started, or reached less than what is required.
        """
        reached = self._launch()
        if LEVELS.index(reached.level) < LEVELS.index(self.required):
            self.close()
            raise SandboxError(
                f"no program is run: the sandbox reached the level {reached}, and '{self.required}'"
                f" is required; {MANUAL} says what each level needs"
            )
        return reached

    def probe(self) -> Reached:
        """What a launcher reaches here; it is ended at once.

        Raises:
            SandboxError: it could not be started.
        """
        try:
            return self._launch()
        finally:
            self.close()

    def run(self, job: dict[str, Any]) -> tuple[str, bytes]:
        """Run one program: see `jail/runner.py` for the job and for what comes back.

        Raises:
            SandboxError: the launcher broke; it has been ended, and the next call starts another.
        """
        if self._process is None or self._owner != os.getpid():
            self._process = None  # in a fork of the trainer: that one's launcher is not its own
            self.start()
        try:
            self._send(json.dumps(job).encode())
            deadline = time.monotonic() + job["seconds"] + GRACE
            return self._receive(deadline).decode(), self._receive(deadline)
        except (OSError, ValueError) as error:
            self.close()
            raise SandboxError(f"the sandbox broke: {error}") from error
        except BaseException:  # an interrupt: the answer would be taken for that of the next job
            self.close()
            raise

    def close(self) -> None:
        """End the launcher with all that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _launch(self) -> Reached:
        if not sys.platform.startswith("linux"):
            raise SandboxError("programs can be run on Linux only, of which the sandbox is made")
        folder = str(Path(__file__).parent)
        options = ["-s", "-S", "-P", "-B", "-X", "utf8", "-c", _START, folder]
        self._owner = os.getpid()
        try:
            self._process = subprocess.Popen(
                # Not that of a virtual environment, whose packages no program should see.
                [os.path.realpath(sys.executable), *options, self.required, self.most],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                # Sets of texts have the same order each time; the launcher forgets it at once.
                env={"PYTHONHASHSEED": "0"},
                start_new_session=True,  # Ctrl-C is for the trainer
            )
            return Reached(*json.loads(self._receive(time.monotonic() + START_SECONDS)))
        except (OSError, ValueError) as error:
            self.close()
            raise SandboxError(f"the sandbox could not be started: {error}") from error

    def _send(self, message: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        frames.write(self._process.stdin.fileno(), message)

    def _receive(self, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise OSError("its launcher did not answer in time")
        message = frames.read(descriptor)
        if message is None:
            raise OSError("its launcher ended")
        return message
