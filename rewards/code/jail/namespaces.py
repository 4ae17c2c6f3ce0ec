"""Namespaces: a user, a network, processes, mounts, a host name and shared memory of its own."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from . import root, system

PROGRAM_USER = 1
"""The user that programs run as, inside. Outside: nobody, or whoever started the launcher."""
NOBODY = 65534
_OTHERS = (
    system.CLONE_NEWNS
    | system.CLONE_NEWNET
    | system.CLONE_NEWPID
    | system.CLONE_NEWIPC
    | system.CLONE_NEWUTS
    | system.CLONE_NEWCGROUP
)


@dataclass(frozen=True)
class Inside:
    """What the launcher knows once it is inside.

    Attributes:
        own: its process namespace, open, so that it can come back to it.
        user: whom a program has to become; None when the launcher itself is no one special.
    """

    own: int
    user: int | None

    def before_fork(self) -> None:
        """Let the next child begin a process namespace, which ends with it, with all in it."""
        system.unshare(system.CLONE_NEWPID)

    def after_fork(self) -> None:
        """Come back: a namespace whose first process has ended can have no others."""
        system.set_namespace(self.own, system.CLONE_NEWPID)


def enter(then: Callable[[Inside], None]) -> str:
    """Call `then` in a process inside of new namespaces, and wait for its end.

    Returns:
        Empty when `then` was called; why the namespaces could not be had otherwise.
    """
    tell, told = os.pipe(), os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            _enter(tell, told, then)
        except OSError as error:
            os.write(tell[1], f"-{error.strerror or error}".encode())
        finally:
            os._exit(0)
    os.close(tell[1])
    os.close(told[0])
    reason = ""
    if os.read(tell[0], 1) == b"u":
        try:
            os.write(told[1], b"s" if _map_users(middle) else b"o")
        except OSError as error:
            reason = f"users cannot be mapped: {error.strerror}"
            os.kill(middle, signal.SIGKILL)
    os.close(told[1])
    answer = _all(tell[0])
    os.waitpid(middle, 0)
    if reason or answer == b"+":
        return reason
    return answer.decode(errors="replace").lstrip("-") or "the process that was to enter them ended"


def _enter(tell: tuple[int, int], told: tuple[int, int], then: Callable[[Inside], None]) -> None:
    os.close(tell[0])
    os.close(told[1])
    system.unshare(system.CLONE_NEWUSER)
    system.prctl(system.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    os.write(tell[1], b"u")
    several = os.read(told[0], 1)
    if not several:
        return
    system.unshare(_OTHERS)
    inner = os.fork()
    if inner:
        # The one inside keeps the pipe until it has begun.
        os.close(tell[1])
        os.waitpid(inner, 0)
        return
    system.prctl(system.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    inside = Inside(
        os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC),
        PROGRAM_USER if several == b"s" else None,
    )
    root.build()
    os.write(tell[1], b"+")
    os.close(tell[1])
    os.close(told[0])
    then(inside)


def _map_users(process: int) -> bool:
    """Say who the users of a process's new namespace are outside.

    Returns:
        Whether there are two: root, who builds the walls, and nobody, who runs programs.

    Raises:
        OSError: the kernel does not accept it.
    """
    if os.geteuid() == 0:
        try:
            for kind in ("uid", "gid"):
                _write(process, f"{kind}_map", f"0 0 1\n{PROGRAM_USER} {NOBODY} 1\n")
            return True
        except OSError:  # root of a container that has no user nobody
            pass
    _write(process, "setgroups", "deny")
    _write(process, "uid_map", f"{PROGRAM_USER} {os.geteuid()} 1\n")
    _write(process, "gid_map", f"{PROGRAM_USER} {os.getegid()} 1\n")
    return False


def _write(process: int, name: str, text: str) -> None:
    with open(f"/proc/{process}/{name}", "w") as file:
        file.write(text)


def _all(descriptor: int) -> bytes:
    parts = b""
    while part := os.read(descriptor, 4096):
        parts += part
    os.close(descriptor)
    return parts
