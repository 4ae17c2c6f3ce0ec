"""The sampling stage: one iteration's trajectories, this process's share of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ddpo.batching import BatchPlan
from ddpo.config.schema import Config
from ddpo.prompts import PromptSet
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Trajectory

Fitted = Callable[[Callable[[int], Trajectory]], Trajectory]
"""Calls what it is given with a batch size, and with smaller ones until it fits."""

Sample = Callable[[Sequence[str], RowGenerator], Trajectory]
"""Runs the chain once per prompt: `Policy.sample`, say."""


def iteration_rows(
    config: Config, plan: BatchPlan, prompts: PromptSet, iteration: int
) -> list[tuple[int, int]]:
    """All samples of an iteration as (prompt index, which sample of that prompt), groups
    together.
    """
    drawn = prompts.draw(plan.prompts, position=(iteration - 1) * plan.prompts, seed=config.seed)
    seen: Counter[int] = Counter()
    rows = []
    for prompt in (index for index in drawn for _ in range(plan.group_size)):
        rows.append((prompt, seen[prompt]))
        seen[prompt] += 1
    return rows


def collect(
    sample: Sample,
    prompts: PromptSet,
    generator: RowGenerator,
    *,
    fitted: Fitted,
    each: Callable[[Trajectory], None] = lambda part: None,
    between: Callable[[], None] = lambda: None,
    record_on: str | None = None,
    keep_outputs: bool = True,
) -> Trajectory:
    """Sample the generator's rows, as many at a time as fit; after each pass, `each` is given its
    samples, `between` is called, and they wait for the next with their record on `record_on`.

    There is room for all from the first pass on: joined at the end, they would be there twice.
    """
    everything, made, count = None, 0, len(generator.rows)
    while everything is None or made < count:
        part = fitted(partial(_sampled, sample, prompts, generator, made))
        each(part)
        part = part if keep_outputs else part.without_outputs()
        part = part.with_record_on(record_on) if record_on else part
        if len(part) == count:
            everything = part
        else:
            everything = part.room_for(count) if everything is None else everything
            everything.put(made, part)
        made += len(part)
        between()
    return everything


def _sampled(
    sample: Sample,
    prompts: PromptSet,
    generator: RowGenerator,
    start: int,
    batch: int,
) -> Trajectory:
    """At most `batch` of the generator's rows, from `start` on."""
    part = generator[slice(start, start + batch)]
    texts, columns = prompts.rows([prompt for prompt, _ in part.rows])
    return replace(sample(texts, part), columns=columns)
