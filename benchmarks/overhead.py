"""What an iteration takes beyond the network passes that it needs.

    python -m benchmarks.overhead --out benchmarks/results/overhead.json

An iteration of a run is watched: the inputs of every pass of the policy's network are counted by
shape, with gradients and without, and so are those of the autoencoder that makes pictures to score.
Then those passes alone, on inputs of the same shapes and without anything around them, alternate
with whole iterations.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.report import spread, told, write_result
from ddpo.config.reading import load_config
from ddpo.run import Run, prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate

CONFIGS = (
    "configs/ddpo_shapes_compressibility.yaml",
    "configs/ddpo_shapes_alignment.yaml",
)


@dataclass
class Passes:
    """The passes of one network: by form of their inputs, an example and how many there were."""

    network: nn.Module
    method: str = "forward"
    examples: dict[Any, tuple[Any, Any]] = field(default_factory=dict)
    counts: Counter[Any] = field(default_factory=Counter)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count the passes that are made inside."""
        call = getattr(self.network, self.method)

        def counted(*args: Any, **options: Any) -> Any:
            graded = torch.is_grad_enabled()
            key = (graded, *(_form(leaf) for leaf in tree_leaves((args, options))))
            self.counts[key] += 1
            if key not in self.examples:
                self.examples[key] = tree_map(_detached, (args, options))
            return call(*args, **options)

        setattr(self.network, self.method, counted)
        try:
            yield
        finally:
            delattr(self.network, self.method)

    def again(self) -> None:
        """Make all of them, with nothing around them."""
        call = getattr(self.network, self.method)
        for key, count in self.counts.items():
            args, options = self.examples[key]
            for _ in range(count):
                with torch.set_grad_enabled(key[0]):
                    (output,) = call(*args, **options)
                    if key[0]:
                        output.sum().backward()
        self.network.zero_grad(set_to_none=True)


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    cases = []
    for config in options.configs:
        cases.append({"config": str(config), **measure(config, options)})
        print(line(cases[-1]), flush=True)
        write_result(options.out, {"cases": cases})


def measure(config: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of iterations and of their passes alone."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*options.overrides, f"output_dir={folder}", "evaluation.samples=0"]
        run = prepare_run(load_config(config, overrides), resume=False)
        family: Any = run.policy.family  # pyright: ignore[reportAttributeAccessIssue]
        network = Passes(run.policy.network)
        decoder = Passes(family.pipeline.vae, "decode")
        stages: list[dict[str, float]] = []
        seconds: dict[str, list[float]] = {"iteration": [], "network": [], "decoder": []}
        with StopRequest(run.accelerator) as stop:
            iterate(run, stop)  # encodes prompts, and warms up
            with network.watched(), decoder.watched():
                iterate(run, stop)
            for _ in range(options.iterations):
                seconds["iteration"].append(timed(lambda: stages.append(_stages(run, stop))))
                seconds["network"].append(timed(network.again))
                with torch.no_grad():
                    seconds["decoder"].append(timed(decoder.again))
        run.scorer.close()
    pairs = zip(*seconds.values(), strict=True)
    ratios = [(whole / bare, whole / (bare + decode)) for whole, bare, decode in pairs]
    over_network, over_both = zip(*ratios, strict=True)
    return {
        "seconds": seconds,
        "stages": stages,
        "over_network": spread(over_network),
        "over_network_and_decoder": spread(over_both),
    }


def _stages(run: Run, stop: StopRequest) -> dict[str, float]:
    """An iteration's own account of its time."""
    return {k: v for k, v in iterate(run, stop).items() if k.startswith("time/") and v is not None}


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes, to the end of what the accelerator has to do for it."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def line(case: dict[str, Any]) -> str:
    """A case in Markdown."""
    ratios = (told(case[f"over_{name}"], 3) for name in ("network", "network_and_decoder"))
    return f"| {Path(case['config']).stem} | {' | '.join(ratios)} |"


def _form(leaf: Any) -> Any:
    """Shape and dtype of a tensor; anything else is itself."""
    return (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else leaf


def _detached(leaf: Any) -> Any:
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*", type=Path, default=[Path(c) for c in CONFIGS])
    parser.add_argument("--overrides", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
