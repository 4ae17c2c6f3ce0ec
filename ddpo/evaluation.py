"""Held-out samples: the same prompts and noise at every evaluation, scored, and kept for the
gallery.
"""

from __future__ import annotations

import math
from functools import partial

from jaxtyping import Float
from torch import Tensor

from ddpo.checkpoint import write_folder
from ddpo.collection import collect
from ddpo.distributed import on_main
from ddpo.fitting import fit_sampling
from ddpo.metrics import Row
from ddpo.outputs import outputs_of
from ddpo.randomness import EVALUATION, RowGenerator
from ddpo.run import Run
from ddpo.samples_folder import save_samples


def evaluate(run: Run) -> Row:
    """Sample, score and save the held-out prompts with the (averaged) weights; returns
    `evaluation/…` metrics.

    Writes `samples/<iteration>/`: see `save_samples`.
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
    outputs = outputs_of(trajectory.outputs).everyones(run.accelerator)
    prompts, columns = run.heldout.rows([prompt for prompt, _ in rows])
    on_main(
        run.accelerator,
        lambda: write_folder(
            run.folder.samples / f"{run.state.iteration:06d}",
            lambda folder: save_samples(
                folder, run.state.iteration, prompts, columns, outputs, scores
            ),
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


def finite_mean(values: Float[Tensor, " n"]) -> float | None:
    """Mean of what could be scored; None where nothing could."""
    finite = values[values.isfinite()]
    return float(finite.mean()) if len(finite) else None


def _prefixed(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"evaluation/{name}": values for name, values in parts.items()}
