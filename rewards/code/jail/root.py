"""The files that programs see: the standard library, `/dev/null`, and a folder of their own."""

import os
import stat
import sysconfig

from . import landlock, system
from .limits import FOLDER_BYTES, FOLDER_FILES

PRIVATE = "/tmp"
"""The folder of a program's own: empty when it begins, gone when it ends."""
NULL = "/dev/null"
# Of other people's packages, tests of a data set may be among the files: programs see none of them.
_PACKAGES = ("site-packages", "dist-packages")

_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
# Flags of a mount that one may not take away from it in a user namespace, by those of statvfs.
_LOCKED = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}


def library() -> list[str]:
    """The folders of the standard library: one, or two where compiled modules lie apart."""
    found = [os.path.dirname(os.__file__), sysconfig.get_path("platstdlib")]
    return sorted({os.path.realpath(path) for path in found if os.path.isdir(path)})


def build() -> None:
    """Replace the root of this mount namespace by one that holds only what a program may see.

    Raises:
        OSError: a mount is refused.
    """
    folders = library()
    if any(folder.startswith(PRIVATE + "/") for folder in folders):
        raise OSError(0, f"Python's standard library lies below {PRIVATE}, which programs own")
    system.mount("none", "/", None, _RECURSIVE | _PRIVATE)
    # Opened first: the new root is mounted over /tmp, where some of them may lie.
    sources = {path: os.open(path, os.O_PATH) for path in [*folders, NULL]}
    new = PRIVATE
    system.mount("tmpfs", new, "tmpfs", _NO_SUID | _NO_DEVICES, "mode=755,size=1m")
    for path, descriptor in sources.items():
        _show(descriptor, new + path, writable=path == NULL)
        os.close(descriptor)
    for folder in folders:
        for name in _PACKAGES:
            if os.path.isdir(f"{new}{folder}/{name}"):
                flags = _NO_SUID | _NO_DEVICES | _READ_ONLY
                system.mount("tmpfs", f"{new}{folder}/{name}", "tmpfs", flags, "size=4k")
    os.makedirs(new + PRIVATE)
    os.chdir(new)
    system.mount("none", new, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    system.call("pivot_root", b".", b".")
    system.call("umount2", b".", _DETACH)
    os.chdir("/")


def mount_private() -> None:
    """Give this process, in a mount namespace of its own, an empty folder to write in."""
    flags = _NO_SUID | _NO_DEVICES | _NO_PROGRAMS
    sizes = f"mode=1777,size={FOLDER_BYTES},nr_inodes={FOLDER_FILES}"
    system.mount("tmpfs", PRIVATE, "tmpfs", flags, sizes)
    os.chdir(PRIVATE)


def rights_within() -> dict[str, int]:
    """What Landlock grants inside the new root."""
    return {
        "/": landlock.READ,
        PRIVATE: landlock.READ_WRITE,
        NULL: landlock.READ | landlock.WRITE_FILE,
    }


def rights_outside() -> dict[str, int]:
    """What Landlock grants where the root could not be replaced: to read the standard library."""
    rights = {NULL: landlock.READ | landlock.WRITE_FILE}
    for folder in library():
        rights[folder] = landlock.READ_DIR
        for name in os.listdir(folder):
            if name not in _PACKAGES:
                rights[f"{folder}/{name}"] = landlock.READ
    return rights


def _show(descriptor: int, target: str, *, writable: bool) -> None:
    """Let what is open at `descriptor` appear at `target`."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    system.mount(f"/proc/self/fd/{descriptor}", target, None, _BIND)
    now = os.statvfs(target).f_flag
    flags = sum(mount_flag for flag, mount_flag in _LOCKED.items() if now & flag)
    flags |= _NO_SUID | (0 if writable else _READ_ONLY | _NO_DEVICES)
    system.mount("none", target, None, _REMOUNT | _BIND | flags)
