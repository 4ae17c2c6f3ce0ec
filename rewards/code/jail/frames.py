"""Messages between the trainer and the launcher: a length, and as many bytes."""

import os
import struct

LONGEST = 64 * 2**20
"""Bytes of one message."""
_LENGTH = struct.Struct("!I")


def write(descriptor: int, message: bytes) -> None:
    """Write a message.

    Raises:
        OSError: the other side is gone.
        ValueError: the message is too long.
    """
    if len(message) > LONGEST:
        raise ValueError(f"a message of {len(message)} bytes: at most {LONGEST} can be sent")
    rest = memoryview(_LENGTH.pack(len(message)) + message)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read(descriptor: int) -> bytes | None:
    """Wait for a message; None when the other side has closed.

    Raises:
        OSError: the message is too long, or breaks off.
    """
    header = _exactly(descriptor, _LENGTH.size)
    if not header:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > LONGEST:
        raise OSError(0, f"a message of {length} bytes is announced: at most {LONGEST} are read")
    message = _exactly(descriptor, length)
    if len(message) < length:
        raise OSError(0, "the connection broke off before a message")
    return message


def _exactly(descriptor: int, count: int) -> bytes:
    """So many bytes, or none at the end of the stream."""
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, count - len(parts))
        if not part:
            if parts:
                raise OSError(0, "the connection broke off within a message")
            break
        parts += part
    return bytes(parts)
