"""What `ddpo config` says about a run's memory before it: light to import, and it never fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from ddpo.batching import BatchPlan
from ddpo.config.schema import Config
from ddpo.errors import UserError

if TYPE_CHECKING:
    from ddpo.live_memory import Peak

INDEX = "model_index.json"
LONG_SECONDS = 5.0
GIGABYTE = 1e9
COLUMNS = (
    "weights",
    "gradients and optimizer",
    "encoded prompts",
    "trajectories",
    "activations",
)
"""What memory is for, as the estimate labels it."""


def describe_memory(config: Config, plan: BatchPlan) -> str:
    """Peak memory of one process by stage, in GB; or one line that says why it is not known.

    The model is built from its configuration files; nothing is downloaded, and no weight is read.
    """
    began = time.perf_counter()
    try:
        if not config.policy.memory_is_estimated:
            raise UserError(f"not yet for policy.kind: {config.policy.kind}")
        if config.policy.compile:
            raise UserError("what torch.compile keeps is not known; see policy.compile: false")
        folder = configuration_folder(config.policy.model)
        from ddpo.diffusion.peak_memory import estimate_peaks, this_device

        peaks = estimate_peaks(config, plan, folder)
    # whatever it is: torch, diffusers and transformers have no common error
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"memory is not estimated: {reason}"
    seconds = time.perf_counter() - began
    took = f"; {seconds:.0f} s to estimate" if seconds > LONG_SECONDS else ""
    heading = (
        f"peak memory of one process by estimate, in GB, with the kernels of {this_device()}, "
        f"without rewards{took}"
    )
    return "\n".join([heading, *_table(peaks)])


def configuration_folder(model: str) -> Path:
    """Where a model's files are on this machine.

    Raises:
        UserError: nowhere.
    """
    if model == "shapes":
        from ddpo.worlds.shapes import pipeline_path

        return pipeline_path()
    folder = Path(model)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(model, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            folder = None
    if folder is None or not (folder / INDEX).is_file():
        raise UserError(f"the configuration files of {model} are not on this machine")
    return folder


def _table(peaks: Mapping[str, Peak]) -> list[str]:
    """A line for each stage: the sum, then what it is for."""
    width = max(len(stage) for stage in peaks)
    lines = []
    for stage, peak in peaks.items():
        parts = ", ".join(f"{name} {_gigabytes(peak.parts[name])}" for name in COLUMNS)
        lines.append(f"  {stage:<{width}}  {_gigabytes(peak.total)} = {parts}")
    highest = max(peaks, key=lambda stage: peaks[stage].total)
    return [*lines, f"  most: {_gigabytes(peaks[highest].total)}, {highest}"]


def _gigabytes(size: int) -> str:
    """Three significant digits, none below a hundredth of a megabyte."""
    return f"{size / GIGABYTE:.2f}" if size >= GIGABYTE else f"{size / GIGABYTE:.4f}"
