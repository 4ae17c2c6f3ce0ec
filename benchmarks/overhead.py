"""What an iteration takes beyond the network passes that it needs.

    python -m benchmarks.overhead --out benchmarks/results/overhead.json

An iteration of a run is watched: the inputs of every pass of the policy's network are counted by
shape, with gradients and without, and so are those of the autoencoder that makes pictures to score.
Then those passes alone, on inputs of the same shapes and without anything around them, alternate
with whole iterations; and so does the scoring of the same pictures, for rewards are networks, too.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.report import spread, timed, told, write_result
from ddpo.config.reading import load_config
from ddpo.live_memory import form
from ddpo.run import Run, prepare_run
from ddpo.scoring import Scoring
from ddpo.stopping import StopRequest
from ddpo.training import iterate
from ddpo.trajectory import Trajectory

CASES = (
    ("configs/ddpo_shapes_compressibility.yaml",),
    ("configs/ddpo_shapes_alignment.yaml",),
    (
        "configs/ddpo_shapes_compressibility.yaml",
        "policy.num_steps=20",
        "policy.guidance_scale=3",
    ),
)
"""Configurations, and what is changed of them; the last is a chain as long as is usual."""

NEEDED = {
    "network": ("network",),
    "network_and_decoder": ("network", "decoder"),
    "all": ("network", "decoder", "rewards"),
}
"""What an iteration is compared with."""


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
            key = (graded, *(form(leaf) for leaf in tree_leaves((args, options))))
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
    given = [(str(config), *options.overrides) for config in options.configs]
    for config, *overrides in given or CASES:
        found = measure(Path(config), overrides, options.iterations)
        cases.append({"config": config, "overrides": overrides, **found})
        print(line(cases[-1]), flush=True)
        write_result(options.out, {"cases": cases})


def measure(config: Path, overrides: Sequence[str], iterations: int) -> dict[str, Any]:
    """Seconds of iterations and of their passes alone."""
    with tempfile.TemporaryDirectory() as folder:
        own = [f"output_dir={folder}", "evaluation.samples=0"]
        run = prepare_run(load_config(config, [*overrides, *own]), resume=False)
        family: Any = run.policy.family  # pyright: ignore[reportAttributeAccessIssue]
        network = Passes(run.policy.network)
        decoder = Passes(family.pipeline.vae, "decode")
        stages: list[dict[str, float]] = []
        seconds: dict[str, list[float]] = {}
        pictures: list[Trajectory] = []
        bare = {
            "network": network.again,
            "decoder": decoder.again,
            "rewards": lambda: _score(run, pictures),
        }
        with StopRequest(run.accelerator) as stop:
            iterate(run, stop)  # encodes prompts, and warms up
            with network.watched(), decoder.watched(), _kept(pictures):
                iterate(run, stop)
            for _ in range(iterations):
                taken = timed(lambda: stages.append(_stages(run, stop)))
                seconds.setdefault("iteration", []).append(taken)
                for name, work in bare.items():
                    seconds.setdefault(name, []).append(timed(work))
        run.scorer.close()
    return {
        "seconds": seconds,
        "stages": stages,
        **{f"over_{name}": spread(_over(seconds, parts)) for name, parts in NEEDED.items()},
    }


def _over(seconds: dict[str, list[float]], parts: tuple[str, ...]) -> list[float]:
    """Each iteration over the parts that were made alone after it."""
    bare = [sum(taken) for taken in zip(*(seconds[part] for part in parts), strict=True)]
    return [whole / alone for whole, alone in zip(seconds["iteration"], bare, strict=True)]


@contextmanager
def _kept(pictures: list[Trajectory]) -> Iterator[None]:
    """Keep what is scored inside."""
    add = Scoring.add

    def keeping(scoring: Scoring, part: Trajectory) -> None:
        pictures.append(part)
        add(scoring, part)

    Scoring.add = keeping
    try:
        yield
    finally:
        Scoring.add = add


@torch.no_grad()
def _score(run: Run, pictures: list[Trajectory]) -> None:
    """Compute the rewards and watch rewards of what was kept."""
    for part in pictures:
        for rewards in (run.scorer.rewards, run.scorer.watch):
            rewards.score(part.outputs, part.prompts, part.columns, group=False)


def _stages(run: Run, stop: StopRequest) -> dict[str, float]:
    """An iteration's own account of its time."""
    return {k: v for k, v in iterate(run, stop).items() if k.startswith("time/") and v is not None}


def line(case: dict[str, Any]) -> str:
    """A case in Markdown."""
    ratios = (told(case[f"over_{name}"], 3) for name in NEEDED)
    name = " ".join([Path(case["config"]).stem, *case["overrides"]])
    return f"| {name} | {' | '.join(ratios)} |"


def _detached(leaf: Any) -> Any:
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*", type=Path, help="all cases when omitted")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
