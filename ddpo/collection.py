"""The sampling stage: one iteration's trajectories, this process's share of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ddpo.batching import BatchPlan
from ddpo.config.schema import Config
from ddpo.prompts import PromptSet
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Policy, Trajectory


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
    policy: Policy,
    prompts: PromptSet,
    generator: RowGenerator,
    *,
    batch: int,
    each: Callable[[Trajectory], None] = lambda part: None,
    between: Callable[[], None] = lambda: None,
    heldout: bool = False,
) -> Trajectory:
    """Sample the generator's rows, at most `batch` at a time; after each pass, `each` is given its
    samples, and `between` is called.
    """
    parts = []
    for start in range(0, len(generator.rows), batch):
        part = generator[slice(start, start + batch)]
        texts, columns = prompts.rows([prompt for prompt, _ in part.rows])
        parts.append(replace(policy.sample(texts, part, heldout=heldout), columns=columns))
        each(parts[-1])
        between()
    return Trajectory.concatenate(parts)
