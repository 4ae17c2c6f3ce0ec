"""What a process may use up, and the privileges that it gives away."""

import math
import os
import resource
import signal
import struct

from . import system

MIB = 2**20
FILE_BYTES = 8 * MIB
FOLDER_BYTES = 16 * MIB
FOLDER_FILES = 1000
DESCRIPTORS = 64
PROCESSES = 64
"""Processes and threads of the user that the program runs as, in its user namespace."""


def set_limits(memory: int, seconds: float) -> None:
    """Bound what this process may use.

    Args:
        memory: MiB of address space.
        seconds: of processor time, rounded up; the clock on the wall is the launcher's business.
    """
    cpu = math.ceil(seconds) + 1
    for limit, value in (
        (resource.RLIMIT_AS, memory * MIB),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_NPROC, PROCESSES),
    ):
        _, hard = resource.getrlimit(limit)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))


def lose_capabilities_for_good() -> None:
    """Let nothing that this process starts have a privilege again; it keeps those it has now."""
    for capability in range(64):
        try:
            system.prctl(system.PR_CAPBSET_DROP, capability)
        except OSError:  # beyond the last one, or without the right to drop them
            return


def become(user: int | None) -> None:
    """Give away the privileges of this process for good, and take on another user.

    Args:
        user: number of the user and the group, in the namespace; None to stay who it is.

    Raises:
        OSError: it may not become that user.
    """
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
    version_3 = struct.pack("=Ii", 0x20080522, 0)
    system.call("capset", version_3, bytes(24))
    # No core dumps, and nothing of it in reach of processes of the same user.
    system.prctl(system.PR_SET_DUMPABLE, 0)
    system.prctl(system.PR_SET_PDEATHSIG, int(signal.SIGKILL))
