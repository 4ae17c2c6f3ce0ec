"""torch.compile for the blocks that a network repeats: one graph for sampling and training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import torch
from torch import nn

from ddpo.errors import UserError

RECOMPILE_LIMIT = 64
"""Graphs of one kind of block: widths, adapters on and off, gradients on and off. Beyond it torch
raises, rather than run the block as it is."""


def compile_blocks(
    network: nn.Module,
    kinds: Sequence[str],
    device: torch.device,
    backend: str = "inductor",
) -> None:
    """Compile each block in place, at its first pass, for any batch size.

    Sizes are dynamic from the start: a graph for one batch size, and another for the rest, would
    round differently in sampling and in training.

    Args:
        network: the model; names of its parameters stay as they are.
        kinds: class names of its repeated blocks.
        device: where it runs.
        backend: of torch.compile.

    Raises:
        UserError: no block of these kinds, or no compiler for what torch generates.
    """
    blocks = [module for module in network.modules() if type(module).__name__ in kinds]
    if not blocks:
        raise UserError(
            f"policy.compile: this {type(network).__name__} has no {' or '.join(kinds)} to "
            f"compile; use policy.compile: false"
        )
    _check_compiler(device)
    for block in blocks:
        block.compile(
            backend=backend, dynamic=True, fullgraph=True, recompile_limit=RECOMPILE_LIMIT
        )


def _check_compiler(device: torch.device) -> None:
    """Torch compiles C++ for the CPU, and a C launcher for Triton's kernels."""
    variable, usual = ("CXX", "g++") if device.type == "cpu" else ("CC", "gcc")
    compiler = os.environ.get(variable, usual)
    if shutil.which(compiler) is None:
        raise UserError(
            f"policy.compile: there is no compiler {compiler}; install one and name it in "
            f"{variable}, or use policy.compile: false"
        )
