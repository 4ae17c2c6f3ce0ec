"""Updates of which no action counts, between others, as a process of a run makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

import ddpo.run
from ddpo.algorithms import Algorithm
from ddpo.collection import iteration_rows
from ddpo.config.reading import load_config
from ddpo.credit import Credit
from ddpo.randomness import RowGenerator
from ddpo.run import Run, prepare_run
from ddpo.update import update_policy


def write_updates(config: Path, overrides: Sequence[str], out: Path, scaled: bool) -> None:
    """Write `updates.json`: for each of three iterations, what its updates said and changed.

    All samples count in the first and the third, and none in the second.

    Args:
        config: of the run.
        overrides: on top of it.
        out: an existing folder.
        scaled: whether losses are scaled, as accelerate has it for fp16 on a GPU only.
    """
    if scaled:
        start = ddpo.run.start_accelerator
        ddpo.run.start_accelerator = lambda *arguments: _with_scaler(start(*arguments))
    run = prepare_run(load_config(config, overrides), resume=False)
    rows = iteration_rows(run.config, run.plan, run.prompts, 1)
    generator = RowGenerator(run.config.seed, 1, tuple(rows))
    prompts, _ = run.prompts.rows([prompt for prompt, _ in rows])
    trajectory = run.policy.sample(prompts, generator)
    advantages = torch.linspace(-1, 1, 8)
    found = []
    for keep in (torch.ones(8), torch.zeros(8), torch.ones(8)):
        before = _state(run)
        row = update_policy(run, trajectory, Credit(advantages[:, None]), keep)
        after = _state(run)
        changed = sorted(name for name in after if not _same(before.get(name), after[name]))
        found.append({"row": row, "changed": changed})
    (out / "updates.json").write_text(json.dumps(found))


def count_updates(
    config: Path, overrides: Sequence[str], out: Path, limits: Sequence[float | None]
) -> None:
    """Write `<rank>.json`: how many updates the first iteration makes under each of these limits of
    `stop_kl`, and which schedule they come to.
    """
    run = prepare_run(load_config(config, overrides), resume=False)
    rank = run.accelerator.process_index
    rows = iteration_rows(run.config, run.plan, run.prompts, 1)[run.plan.rows_of(rank)]
    prompts, _ = run.prompts.rows([prompt for prompt, _ in rows])
    trajectory = run.policy.sample(prompts, RowGenerator(run.config.seed, 1, tuple(rows)))
    before = {name: tensor.clone() for name, tensor in run.policy.trained_state().items()}
    advantages = torch.linspace(-1, 1, run.plan.samples)[run.plan.rows_of(rank), None]
    found = []
    for limit in limits:
        run.policy.load_trained_state(before)
        run.state.algorithm = Algorithm(replace(run.config.algorithm, stop_kl=limit), 1)
        made = run.state.schedule.last_epoch
        row = update_policy(run, trajectory, Credit(advantages), torch.ones(len(rows)))
        found.append([run.state.schedule.last_epoch - made, row["policy/approx_kl"]])
    (out / f"{rank}.json").write_text(json.dumps(found))


def _with_scaler(accelerator: Accelerator) -> Accelerator:
    """The same, with a scale that finite gradients leave as it is in so few updates."""
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    return accelerator


def _state(run: Run) -> dict[str, Any]:
    """What an update may change, copied."""
    checkpoint = run.state.checkpoint()
    tensors = {
        f"{kind}/{name}": tensor.clone()
        for kind in ("weights", "optimizer", "ema")
        for name, tensor in checkpoint.tensors[kind].items()
    }
    numbers = {name: checkpoint.state[name] for name in ("schedule", "ema_step", "scaler")}
    return {**tensors, **json.loads(json.dumps(numbers))}


def _same(one: Any, other: Any) -> bool:
    """Equality to the bit."""
    if isinstance(other, torch.Tensor):
        return isinstance(one, torch.Tensor) and torch.equal(one, other)
    return one == other
