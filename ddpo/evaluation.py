"""Held-out samples: the same prompts and noise at every evaluation, scored, and kept for the
gallery.
"""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from ddpo.checkpoint import write_folder
from ddpo.collection import collect
from ddpo.distributed import gathered, on_main
from ddpo.fitting import fit_sampling
from ddpo.metrics import Row
from ddpo.randomness import EVALUATION, RowGenerator
from ddpo.run import Run
from ddpo.scores import Scores
from rewards.files import INDEX
from rewards.image import png


def evaluate(run: Run) -> Row:
    """Sample, score and save the held-out prompts with the (averaged) weights; returns
    `evaluation/…` metrics.

    Writes `samples/<iteration>/`: one PNG a sample, named by number, and `index.json`.
    """
    count = run.config.evaluation.samples
    if not count:
        return {}
    group = run.config.algorithm.group_size if run.scorer.group_rewards else 1
    rows = heldout_rows(len(run.heldout), count, group)
    share = math.ceil(count / run.accelerator.num_processes)
    first = run.accelerator.process_index * share
    mine = tuple(rows[min(i, count - 1)] for i in range(first, first + share))  # equal shares
    generator = RowGenerator(run.config.seed, EVALUATION, mine)
    scoring = run.scorer.begin()
    with run.state.averaged_weights():
        trajectory = collect(
            run.policy,
            run.heldout,
            generator,
            fitted=partial(fit_sampling, run),
            each=scoring.add,
            heldout=True,
        )
    scores = scoring.finish(trajectory, count)
    if scores.failures:
        failed = len(scores.failures)
        run.say(f"{failed} held-out samples could not be scored, such as {scores.failures[0]}")
    assert isinstance(trajectory.outputs, Tensor)
    images = gathered(run.accelerator, trajectory.outputs)
    prompts = [run.heldout.texts[prompt] for prompt, _ in rows]
    on_main(
        run.accelerator,
        lambda: write_folder(
            run.folder.samples / f"{run.state.iteration:06d}",
            lambda folder: save_samples(folder, run.state.iteration, prompts, images, scores),
        ),
    )
    total = {"evaluation/reward": scores.rewards} if scores.comparable else {}
    means = {**total, **_prefixed(scores.parts), **_prefixed(scores.watch)}
    return {name: finite_mean(values[:count]) for name, values in means.items()}


def heldout_rows(prompts: int, count: int, group: int) -> list[tuple[int, int]]:
    """All samples of an evaluation as (prompt index, which sample of that prompt), prompts in turn.

    They are the first prompts, as many as get `group` samples each of the `count`; at least one.
    """
    drawn = min(prompts, max(1, count // group))
    return [(i % drawn, i // drawn) for i in range(count)]


def save_samples(
    folder: Path,
    iteration: int,
    prompts: list[str],
    images: Float[Tensor, "n 3 h w"],
    scores: Scores,
) -> None:
    """Write images and what they earned; the first `len(prompts)` count."""
    entries = []
    for number, prompt in enumerate(prompts):
        file = f"{number:04d}.png"
        (folder / file).write_bytes(png.encode(images[number]))
        entries.append(
            {
                "file": file,
                "prompt": prompt,
                "rewards": {name: _number(v[number]) for name, v in scores.parts.items()},
                "total": _number(scores.rewards[number]) if scores.comparable else None,
                "watch": {name: _number(v[number]) for name, v in scores.watch.items()},
            }
        )
    (folder / INDEX).write_text(json.dumps({"iteration": iteration, "samples": entries}, indent=1))


def finite_mean(values: Float[Tensor, " n"]) -> float | None:
    """Mean of what could be scored; None where nothing could."""
    finite = values[values.isfinite()]
    return float(finite.mean()) if len(finite) else None


def _prefixed(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"evaluation/{name}": values for name, values in parts.items()}


def _number(value: Tensor) -> float | None:
    return float(value) if value.isfinite() else None
