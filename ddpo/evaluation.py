"""Held-out samples: the same prompts and noise at every evaluation, scored, and kept for the
gallery.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ddpo.checkpoint import write_folder
from ddpo.collection import Sample, collect
from ddpo.distributed import on_main
from ddpo.fitting import fit_sampling
from ddpo.metrics import Row
from ddpo.outputs import outputs_of
from ddpo.randomness import EVALUATION, RowGenerator
from ddpo.run import Run
from ddpo.samples_folder import save_samples
from ddpo.scores import Scores
from ddpo.trajectory import Trajectory


@runtime_checkable
class SamplesGreedily(Protocol):
    """A policy that has a likeliest sample of a prompt, beside those that it draws."""

    def sample_greedily(self, prompts: Sequence[str]) -> Trajectory:
        """The chain of the likeliest action at each place, once per prompt."""
        ...


def evaluate(run: Run) -> Row:
    """Sample, score and save the held-out prompts with the (averaged) weights; returns
    `evaluation/…` metrics, and `evaluation/greedy/…` of the likeliest samples where there are such.

    Writes `samples/<iteration>/`: see `save_samples`.
    """
    count = run.config.evaluation.samples
    if not count:
        return {}
    group = run.config.algorithm.group_size if run.scorer.group_rewards else 1
    rows = heldout_rows(len(run.heldout), count, group)
    with run.state.averaged_weights():
        drawn = partial(run.policy.sample, heldout=True)
        trajectory, scores = _scored(run, rows, drawn, keep_details=True)
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
    found = _means("evaluation", scores, count)
    policy = run.policy
    if isinstance(policy, SamplesGreedily) and run.config.evaluation.greedy is not False:
        # more than one of a prompt would be the same, which only rewards of groups need
        each = heldout_rows(len(run.heldout), min(count, len(run.heldout)), 1)
        once = each if group == 1 else rows
        with run.state.averaged_weights():
            _, scores = _scored(run, once, lambda texts, _: policy.sample_greedily(texts))
        found |= _means("evaluation/greedy", scores, len(once))
    return found


def _scored(
    run: Run, rows: Sequence[tuple[int, int]], sample: Sample, keep_details: bool = False
) -> tuple[Trajectory, Scores]:
    """This process's share of these held-out rows, and the scores of all of them."""
    count = len(rows)
    share = math.ceil(count / run.accelerator.num_processes)
    first = run.accelerator.process_index * share
    mine = tuple(rows[min(i, count - 1)] for i in range(first, first + share))  # equal shares
    generator = RowGenerator(run.config.seed, EVALUATION, mine)
    scoring = run.scorer.begin(keep_details)
    trajectory = collect(
        sample,
        run.heldout,
        generator,
        fitted=partial(fit_sampling, run, heldout=True),
        each=scoring.add,
    )
    scores = scoring.finish(trajectory, count)
    if scores.failures:
        failed = len(scores.failures)
        run.say(f"{failed} held-out samples could not be scored, such as {scores.failures[0]}")
    return trajectory, scores


def _means(prefix: str, scores: Scores, count: int) -> Row:
    """The means of the first `count` samples, over what could be scored."""
    found = {"reward": scores.rewards} if scores.comparable else {}
    found |= scores.parts | scores.watch
    return {f"{prefix}/{name}": finite_mean(values[:count]) for name, values in found.items()}


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
