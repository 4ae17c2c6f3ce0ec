"""System calls through the C library: what Python's standard library has no functions for."""

import ctypes
import os
from typing import Any

from .calls import number

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38


def call(name: str, *arguments: Any) -> int:
    """Make a system call by its name in `calls.py`.

    Args:
        name: of the call.
        arguments: integers, bytes for strings, None for a null pointer, or ctypes objects.

    Raises:
        OSError: it failed; the message names the call.
    """
    which = number(name)
    if which is None:
        raise OSError(0, f"{name}: not a system call of this processor")
    ctypes.set_errno(0)
    result = _libc.syscall(ctypes.c_long(which), *map(_argument, arguments))
    if result == -1 and ctypes.get_errno():
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones."""
    call("unshare", flags)


def set_namespace(descriptor: int, flags: int) -> None:
    """Enter the namespace of an open file of `/proc/<pid>/ns`."""
    call("setns", descriptor, flags)


def prctl(option: int, *arguments: Any) -> int:
    """`prctl(2)`; missing arguments are 0."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    return call("prctl", option, *padded)


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """`mount(2)`."""
    encoded = kind.encode() if kind else None
    call("mount", os.fsencode(source), os.fsencode(target), encoded, flags, data.encode() or None)


def _argument(value: Any) -> Any:
    if isinstance(value, int):
        return ctypes.c_long(value)
    if isinstance(value, bytes):
        return ctypes.c_char_p(value)
    return ctypes.c_void_p(None) if value is None else value
