"""The memory that a stretch of a program takes: of the accelerator, or resident on a CPU."""

from __future__ import annotations

import ctypes
import gc
import re
from pathlib import Path

import torch

RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For the environment: glibc gives back what was freed."""


def resident_now() -> int:
    """Bytes of resident memory, after what was freed is given back; its peak starts here."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def resident_most() -> int:
    """Most bytes since `resident_now`."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return status("VmHWM")


def status(name: str) -> int:
    """A size that Linux knows of this process, in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024
