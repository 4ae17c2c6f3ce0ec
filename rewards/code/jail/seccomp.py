"""A filter of system calls (seccomp): an allow list, written as the kernel's BPF by hand.

A program may compute, use the files that it can reach, sleep and start threads. It cannot start
processes or programs, send signals, open sockets, mount, trace, or change what limits it: those
calls, and all that are not listed, fail with EPERM.
"""

import ctypes
import errno
import struct

from . import system
from .calls import ALLOWED, ARCHITECTURES, architecture, number

# Instructions of BPF, as in linux/filter.h.
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# Offsets in struct seccomp_data; the lower halves of 64-bit arguments, on little-endian machines.
NUMBER, ARCHITECTURE = 0, 4
ARGUMENTS = (16, 24)
KILL, ALLOW = 0x80000000, 0x7FFF0000
X32 = 0x40000000  # the first number of the x32 calls, which share x86_64's name

# pthread_create of glibc and musl: shares everything, and asks for no new namespace.
THREAD = 0x00010000
THREAD_FLAGS = 0x007D0F00
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: not F_SETOWN, which sends signals.
FILE_COMMANDS = (0, 1, 2, 3, 4, 1030)

Instruction = tuple[int, int, int, int]
"""Its code, how far to jump if true and if false, and a constant."""


def refusal(error: int) -> int:
    """The action by which a call fails with an error number."""
    return 0x00050000 | error


def program() -> bytes:
    """The filter for this machine's architecture, packed as the kernel takes it."""
    return b"".join(struct.pack("=HBBI", *line) for line in _instructions())


def install(packed: bytes) -> None:
    """Put the filter around this process for good. It needs `no_new_privs`.

    Raises:
        OSError: the kernel has no seccomp filters.
    """
    instructions = ctypes.create_string_buffer(packed, len(packed))
    header = struct.pack("@HP", len(packed) // 8, ctypes.addressof(instructions))
    filter_mode = 2
    system.prctl(system.PR_SET_SECCOMP, filter_mode, header)


def _instructions() -> list[Instruction]:
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, ARCHITECTURES[architecture()]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, refusal(errno.EPERM)),
    ]
    for name in ALLOWED:
        lines += _if_called(name, [(RETURN, 0, 0, ALLOW)])
    # glibc falls back to clone, whose flags a filter can see; those of clone3 it cannot.
    lines += _if_called("clone3", [(RETURN, 0, 0, refusal(errno.ENOSYS))])
    lines += _if_called("ioctl", [(RETURN, 0, 0, refusal(errno.ENOTTY))])
    lines += _if_called("clone", _only_threads())
    lines += _if_called("fcntl", _only_among(ARGUMENTS[1], FILE_COMMANDS))
    lines += _if_called("prlimit64", _only_among(ARGUMENTS[0], (0,)))  # its own limits
    return [*lines, (RETURN, 0, 0, refusal(errno.EPERM))]


def _if_called(name: str, then: list[Instruction]) -> list[Instruction]:
    which = number(name)
    return [] if which is None else [(EQUAL, 0, len(then), which), *then]


def _only_threads() -> list[Instruction]:
    refused = (RETURN, 0, 0, refusal(errno.EPERM))
    return [
        (LOAD, 0, 0, ARGUMENTS[0]),
        (AND, 0, 0, ~THREAD_FLAGS & 0xFFFFFFFF),
        (EQUAL, 1, 0, 0),
        refused,
        (LOAD, 0, 0, ARGUMENTS[0]),
        (AND, 0, 0, THREAD),
        (EQUAL, 0, 1, THREAD),
        (RETURN, 0, 0, ALLOW),
        refused,
    ]


def _only_among(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    allowed: list[Instruction] = []
    for value in values:
        allowed += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return [(LOAD, 0, 0, argument), *allowed, (RETURN, 0, 0, refusal(errno.EPERM))]
