"""What all benchmarks share: where a result was measured, a clock, and the spread of a ratio."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ddpo.starts import processor_name

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft")


def provenance() -> dict[str, Any]:
    """Date, chip, threads and versions."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def device_name() -> str:
    """The accelerator, or the processor and the vector instructions that torch uses of it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}"


def write_result(path: Path | None, result: Mapping[str, Any]) -> None:
    """Keep a result with its provenance, if there is a file to keep it in."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**provenance(), **result}, indent=1) + "\n")


def kept(path: Path | None, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of these settings that a file of results holds."""
    if path is None or not path.is_file():
        return []
    result = json.loads(path.read_text())
    if any(result.get(key) != value for key, value in settings.items()):
        raise SystemExit(f"{path} holds runs of other settings than {settings}")
    return result["runs"]


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes, to the end of what the accelerator has to do for it."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def told(values: Mapping[str, float], digits: int = 2) -> str:
    """A `spread` in words."""
    median, least, most = (f"{values[key]:.{digits}f}" for key in ("median", "least", "most"))
    return f"{median} ({least} to {most})"
