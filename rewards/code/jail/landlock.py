"""Landlock: which files a process can reach, whatever its user may do elsewhere."""

import ctypes
import os
import struct
from collections.abc import Mapping

from . import system

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
TRUNCATE = 1 << 14
KNOWS_TRUNCATE = 3
"""The first version that keeps a program from emptying the files that it may read."""
# Remove and make directories, regular files and symbolic links, within one folder (REFER).
CHANGE_DIR = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13
READ = READ_FILE | READ_DIR
READ_WRITE = READ | WRITE_FILE | TRUNCATE | CHANGE_DIR
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

# Rights that a version of the kernel's interface knows: 13, then REFER, TRUNCATE and IOCTL_DEV.
_RIGHTS = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
_NETWORK = 1 | 1 << 1  # bind and connect of TCP, since version 4
_SCOPES = 1 | 1 << 1  # abstract sockets and signals, since version 6


def version() -> int:
    """The version of Landlock's interface that the kernel offers.

    Raises:
        OSError: it has none, or it is switched off.
    """
    ask_version = 1
    return system.call("landlock_create_ruleset", None, 0, ask_version)


def ruleset(paths: Mapping[str, int]) -> int:
    """The rights that `paths` gives below each path, and no others, as an open file.

    Raises:
        OSError: Landlock is missing, or a path does not exist.
    """
    offered = version()
    handled = _RIGHTS[min(offered, max(_RIGHTS))] - 1
    fields = [handled]
    if offered >= 4:
        fields.append(_NETWORK)
    if offered >= 6:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    rules = system.call("landlock_create_ruleset", attributes, len(attributes), 0)
    for path, rights in paths.items():
        _allow(rules, path, rights & handled)
    return rules


def restrict(rules: int) -> None:
    """Leave this process, for good, with the rights of a ruleset. It needs `no_new_privs`.

    Raises:
        OSError: the kernel refuses.
    """
    system.call("landlock_restrict_self", rules, 0)


def _allow(rules: int, path: str, rights: int) -> None:
    below_path = 1
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
        system.call("landlock_add_rule", rules, below_path, rule, 0)
    finally:
        os.close(descriptor)
