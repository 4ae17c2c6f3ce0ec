"""`starts.jsonl`: what a run was started with, a line for each time: the code and the hardware,
which its configuration does not say.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FILE = "starts.jsonl"
PACKAGE = Path(__file__).parent


def record_start(run: Path, device: torch.device, processes: int) -> None:
    """Add a line to a run's `starts.jsonl`: date, version, commit and hardware.

    Args:
        run: its folder.
        device: that this process trains on.
        processes: among which it is divided.
    """
    start = {
        "date": time.strftime("%Y-%m-%d"),
        "version": metadata.version("ddpo"),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "hardware": hardware(device),
        "processes": processes,
    }
    with (run / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(start) + "\n")


def read_starts(run: Path) -> tuple[Mapping[str, Any], ...]:
    """What `starts.jsonl` holds, without lines that are damaged; nothing where it is not there."""
    path = run / FILE
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []
    starts = [_parsed(line) for line in lines]
    return tuple(start for start in starts if isinstance(start, dict))


def commit() -> str | None:
    """The commit of the code that runs, with "and changes" where Python files differ from it; None
    where it cannot be told, as in an installation from a wheel.
    """
    # Installed packages may lie within a repository of the user's own, which does not track them.
    if _git("ls-files", "--error-unmatch", __file__) is None:
        return None
    found = _git("rev-parse", "HEAD")
    changed = found and _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)*.py")
    return f"{found} and changes" if changed else found


def hardware(device: torch.device) -> str:
    """What a device is called; a processor with its cores."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    processor = f"{processor_name()}, {os.cpu_count()} cores"
    return processor if device.type == "cpu" else f"{device.type} of {processor}"


def processor_name() -> str:
    """What the processor calls itself, or its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str | None:
    """What git says about the package's folder; None where there is no answer."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
