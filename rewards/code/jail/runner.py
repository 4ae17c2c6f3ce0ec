"""One program after another: a process each, watched, and ended in time."""

import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from . import landlock, limits, program, root, seccomp, system
from .namespaces import Inside

OUTPUT_BYTES = 2**20
"""What a program's process may report; one that reports more is ended."""
IN = 0
"""The descriptor on which the launcher hears from the trainer: closed when that has ended."""


@dataclass(frozen=True)
class Walls:
    """What is put around each program's process, and around the launcher already.

    Attributes:
        inside: the namespaces that the launcher is in; None at the level "filtered".
        rules: what Landlock grants; None where that is known only in the program's own folder.
        filter: the filter of system calls.
        null: `/dev/null`, open for reading and writing.
    """

    inside: Inside | None
    rules: int | None
    filter: bytes
    null: int

    def close_in(self, memory: int, seconds: float) -> None:
        """Put them up around this process.

        Raises:
            OSError: one of them could not be.
        """
        if self.inside:
            system.unshare(system.CLONE_NEWNS)
            root.mount_private()
        else:
            os.chdir("/")
        limits.set_limits(memory, seconds)
        limits.become(self.inside.user if self.inside else None)
        within = landlock.ruleset(root.rights_within()) if self.rules is None else self.rules
        landlock.restrict(within)
        seccomp.install(self.filter)


def run(walls: Walls, job: dict[str, Any]) -> tuple[str, bytes]:
    """Run one program.

    Args:
        walls: to put around it.
        job: `source`, `calls`, `seconds` for all of it, `memory` in MiB.

    Returns:
        How it ended ("ended", "time", "output", "gone" when the trainer has ended), and what it
        reported.
    """
    reading, writing = os.pipe()
    if walls.inside:
        walls.inside.before_fork()
    child = os.fork()
    if child == 0:
        _in_child(walls, job, writing)
    if walls.inside:
        walls.inside.after_fork()
    os.close(writing)
    try:
        return _watch(reading, time.monotonic() + job["seconds"])
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _in_child(walls: Walls, job: dict[str, Any], writing: int) -> None:
    """Never returns."""
    try:
        try:
            walls.close_in(job["memory"], job["seconds"])
        except (OSError, ValueError) as error:
            os.write(writing, repr(str(error)).encode())
            return
        _only_descriptors(walls.null, writing)
        program.run(job["source"], job["calls"])
    finally:
        os._exit(0)


def _only_descriptors(null: int, writing: int) -> None:
    """Nothing is open but three times `/dev/null`, and where the process reports."""
    if writing == program.OUT or writing < program.OUT:
        writing = os.dup(writing)
    for descriptor in range(program.OUT):
        os.dup2(null, descriptor)
    os.dup2(writing, program.OUT)
    os.closerange(program.OUT + 1, sys.maxsize & 0x7FFFFFFF)


def _watch(reading: int, deadline: float) -> tuple[str, bytes]:
    output = bytearray()
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(IN, 0)  # a hang-up is always reported
    while (left := deadline - time.monotonic()) > 0:
        ready = dict(poll.poll(left * 1000))
        if IN in ready:
            return "gone", b""
        if reading in ready:
            part = os.read(reading, 65536)
            if not part:
                return "ended", bytes(output)
            output += part
            if len(output) > OUTPUT_BYTES:
                return "output", bytes(output[:OUTPUT_BYTES])
    return "time", bytes(output)
