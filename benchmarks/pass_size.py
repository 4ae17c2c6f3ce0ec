"""How fast a row of the network is, by the size of a pass and the layout of its kernels.

    python -m benchmarks.pass_size --out benchmarks/results/pass_size.json

The U-Net of the embedded `shapes`, all weights, fp32: passes without a gradient, as in sampling,
and with one, as in training. All sizes and both layouts alternate; each is given as how many times
as fast a row is as in the first size with kernels as they were loaded, in the same round.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.report import spread, timed, told, write_result
from ddpo.diffusion.kernel_layout import lay_channels_last
from ddpo.diffusion.loading import load_family

STAGES = {"sampling": False, "training": True}
"""Whether a pass has a gradient."""


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    torch.set_num_threads(options.threads)
    family = load_family("shapes")
    laid = family.network.requires_grad_(True)
    plain = copy.deepcopy(laid)
    lay_channels_last(family)
    shape = family.latent_shape(None)
    embedding = family.embed(["a red circle"])["embeddings"]
    works = {
        (layout, rows): partial(one_pass, network, shape, embedding, rows)
        for layout, network in (("as loaded", plain), ("channels last", laid))
        for rows in options.rows
    }
    result: dict[str, Any] = {"rows": options.rows}
    for stage, training in STAGES.items():
        with torch.set_grad_enabled(training):
            found = measure(works, options)
        result[stage] = found
        for layout, speeds in found["speed"].items():
            cells = " | ".join(told(speeds[rows]) for rows in options.rows)
            print(f"| {stage} | {layout} | {cells} |", flush=True)
        write_result(options.out, result)


def measure(
    works: dict[tuple[str, int], Callable[[], None]], options: argparse.Namespace
) -> dict[str, Any]:
    """Seconds of a row in each round, and speeds relative to the first of all works."""
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in works}
    for number in range(options.rounds + 1):
        for (layout, rows), work in works.items():
            count = math.ceil(options.rows_of_a_round / rows)
            taken = timed(lambda work=work, count=count: [work() for _ in range(count)])
            seconds[layout, rows] += [taken / count / rows] * (number > 0)  # the first warms up
    first = next(iter(seconds.values()))
    layouts = dict.fromkeys(layout for layout, _ in works)
    return {
        "seconds": {name: {r: s for (n, r), s in seconds.items() if n == name} for name in layouts},
        "speed": {
            name: {
                rows: spread([a / b for a, b in zip(first, taken, strict=True)])
                for (layout, rows), taken in seconds.items()
                if layout == name
            }
            for name in layouts
        },
    }


def one_pass(network: nn.Module, shape: tuple[int, int, int], embedding: Tensor, rows: int) -> None:
    """So many rows through the network, and back where gradients are on."""
    output = network(
        torch.zeros(rows, *shape),
        torch.full((rows,), 500),
        encoder_hidden_states=embedding.expand(rows, -1, -1),
        return_dict=False,
    )[0]
    if output.requires_grad:
        output.square().mean().backward()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 2, 8, 16, 48, 64, 96, 128])
    parser.add_argument("--rows-of-a-round", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
