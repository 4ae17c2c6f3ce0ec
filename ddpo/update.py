"""The training stage: from trajectories and advantages to optimizer steps.

Losses are sums divided by the global count of actions, so the gradient of an update is the same
however the samples are cut into micro-batches, however many actions share a network pass, and
however many processes there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.algorithms import on_policy_residual
from ddpo.batching import BatchPlan
from ddpo.credit import Credit
from ddpo.distributed import largest, summed
from ddpo.errors import UserError
from ddpo.fitting import fitted
from ddpo.numerics import Numerics
from ddpo.run import Run
from ddpo.sharding import passes_are_local
from ddpo.trajectory import Trajectory
from ddpo.transfer import sent

RESIDUAL_SHARE = 0.1
"""Largest share of the clip range that the on-policy residual may use up."""


@dataclass
class Measured:
    """Sums over the actions of an iteration's updates, on this process.

    Attributes:
        sums: by metric name.
        actions: how many actions counted, over all processes.
        grad_norm: sum over updates of the norm before clipping.
        residual: largest |log-ratio| of the first update, before anything changed.
        updates: how many were made.
        skipped: how many were not, because their gradient was of nothing or not finite.
        moved: this process's part of the mean `policy/approx_kl` of the newest update.
    """

    sums: dict[str, Tensor]
    actions: Tensor
    grad_norm: Tensor
    residual: Tensor
    updates: int = 0
    skipped: int = 0
    moved: Tensor | None = None

    def row(self, run: Run) -> dict[str, float]:
        """The means over all processes. A collective."""
        stacked = torch.stack([*self.sums.values()])
        means = (summed(run.accelerator, stacked) / self.actions.clamp(min=1)).tolist()
        row = dict(zip(self.sums, means, strict=True))
        row["policy/grad_norm"] = float(self.grad_norm) / max(1, self.updates)
        row["policy/updates_skipped"] = self.skipped
        row["policy/ratio_residual"] = largest(run.accelerator, self.residual)
        return row


@dataclass(frozen=True)
class Share:
    """What one process trains on in one update.

    Attributes:
        trajectory: its samples.
        credit: of these, an advantage for each action.
        counted: `[b, A]`, 1 where an action counts.
        actions: how many do, over all processes; at least 1.
    """

    trajectory: Trajectory
    credit: Credit
    counted: Float[Tensor, "b a"]
    actions: Tensor

    def without_idle_samples(self) -> Share:
        """The same without the samples of which no action counts, such as those of groups without
        spread: their passes would add 0. One is kept where there would be none.
        """
        busy = self.counted.any(1).nonzero().flatten()
        if len(busy) == len(self.counted):
            return self
        rows = busy if len(busy) else slice(0, 1)
        return Share(self.trajectory[rows], self.credit[rows], self.counted[rows], self.actions)


@dataclass
class Found:
    """What the passes of one update measured on this process.

    Attributes:
        sums: over actions, by metric name.
        residual: largest |log-ratio|.
    """

    sums: dict[str, Tensor]
    residual: Tensor


def update_policy(
    run: Run, trajectory: Trajectory, credit: Credit, keep: Float[Tensor, " b"]
) -> dict[str, float]:
    """All updates of one iteration; returns their metrics.

    Args:
        run: the run.
        trajectory: this process's samples.
        credit: of these samples.
        keep: 1 where a sample counts, 0 where it was dropped.

    Raises:
        UserError: in the first update of a launch, if the policy does not reproduce the log-probs
            it sampled with.
    """
    zero = torch.zeros((), device=trajectory.mask.device)
    measured = Measured({}, zero, zero, zero)
    for use in range(run.config.train.sample_uses):
        for index in range(run.plan.updates):
            rows = slice(index, None, run.plan.updates)
            parts = (trajectory[rows], credit[rows], keep[rows])
            counted = accumulate_gradients(run, *parts, measured, first=use == index == 0)
            _step(run, measured, counted=counted)
            if _too_far(run, measured):
                return measured.row(run)
    return measured.row(run)


def accumulate_gradients(
    run: Run,
    trajectory: Trajectory,
    credit: Credit,
    keep: Float[Tensor, " b"],
    measured: Measured,
    *,
    first: bool,
) -> bool:
    """The gradient of one update, micro-batch by micro-batch, averaged over processes at the end.

    If memory runs out on any process, all begin again with smaller micro-batches.

    Returns:
        Whether any action counted, on any process.
    """
    accelerator = run.accelerator
    counted = trajectory.mask * keep.to(trajectory.mask.device)[:, None]
    total = summed(accelerator, counted.sum())
    placed = credit.on(trajectory.mask.device, actions=trajectory.mask.shape[1])
    whole = Share(trajectory, placed, counted, actions=total.clamp(min=1))
    share = whole.without_idle_samples() if passes_are_local(accelerator) else whole
    found = fitted(run, partial(local_gradient, run, share), BatchPlan.smaller_training)
    run.state.parallelism.average_gradients(run.state.parameters)
    measured.actions = measured.actions + total
    for name, value in found.sums.items():
        measured.sums[name] = measured.sums.get(name, 0) + value
    measured.moved = found.sums["policy/approx_kl"] / total.clamp(min=1)
    if first:
        measured.residual = found.residual
    if first and not run.residual_checked:
        check_residual(run, largest(accelerator, measured.residual))
    return bool(total > 0)


def local_gradient(run: Run, share: Share, plan: BatchPlan) -> Found:
    """This process's part of an update's gradient, from nothing, divided as planned. Exchanges
    nothing between processes, unless the network is spread over them.
    """
    accelerator, policy, algorithm = run.accelerator, run.policy, run.state.algorithm
    run.state.optimizer.zero_grad(set_to_none=True)
    found = Found({}, torch.zeros((), device=share.counted.device))
    for part, rows, columns, last in network_passes(plan, share.trajectory):
        there = sent(columns, share.counted.device)
        mask = share.counted[rows][:, there]
        old_log_probs = part.log_probs[:, there]
        evaluation = policy.evaluate(part, columns, with_kl=algorithm.needs_reference)
        credit, old_values = share.credit, part.measured.get("values")
        losses = algorithm.losses(
            evaluation,
            old_log_probs,
            credit.advantages[rows][:, there],
            mask,
            old_values=None if old_values is None else old_values[:, there],
            returns=None if credit.returns is None else credit.returns[rows][:, there],
        )
        # averaged over processes is what must be summed
        loss = losses.loss.sum() * (accelerator.num_processes / share.actions)
        run.state.parallelism.backward(loss, last=last)
        for name, values in losses.statistics.items():
            found.sums[name] = found.sums.get(name, 0) + values.sum()
        residual = on_policy_residual(evaluation, old_log_probs, mask)
        found.residual = torch.maximum(found.residual, residual)
    return found


def network_passes(
    plan: BatchPlan, trajectory: Trajectory
) -> Iterator[tuple[Trajectory, slice, Int[Tensor, " a"], bool]]:
    """Which rows share a network pass, with their record brought from where it waits; which these
    are, and which of their actions, on the CPU; and whether it is the last. Actions that no chain
    has are left out.
    """
    device = trajectory.mask.device
    active = trajectory.mask.any(0).nonzero().flatten().cpu()
    starts = range(0, len(trajectory), plan.micro_batch)
    chunks = active.split(plan.actions_per_pass)
    for start in starts:
        rows = slice(start, start + plan.micro_batch)
        part = trajectory[rows].with_record_on(device)
        for number, columns in enumerate(chunks):
            yield part, rows, columns, start == starts[-1] and number == len(chunks) - 1


def check_residual(run: Run, residual: float) -> None:
    """Refuse to train a policy whose on-policy ratio is not 1.

    Raises:
        UserError: the residual exceeds a tenth of the clip range.
    """
    run.residual_checked = True
    clip_range = run.state.algorithm.clip_range
    run.say(f"on-policy residual of the log-ratio: {residual:.2e}")
    if clip_range is not None and not residual <= RESIDUAL_SHARE * clip_range:
        numerics = Numerics.of(
            run.config, run.accelerator.mixed_precision, run.plan.actions_per_pass
        )
        wide = f"algorithm.clip_range: {residual / RESIDUAL_SHARE:.1e} or more"
        raise UserError(
            f"the policy does not reproduce its own log-probs: residual {residual:.2e} against a "
            f"clip range of {clip_range:.2e}, with {numerics.in_force()}; set "
            f"{', or '.join([*numerics.remedies(), wide])}"
        )


def _too_far(run: Run, measured: Measured) -> bool:
    """Whether the newest update found the policy too far from the one that sampled. A collective,
    where there is a limit.
    """
    limit = run.state.algorithm.stop_kl
    if limit is None or measured.moved is None:
        return False
    return float(summed(run.accelerator, measured.moved)) > limit


def _step(run: Run, measured: Measured, *, counted: bool) -> None:
    """One optimizer step on the accumulated gradient, unless it is of nothing, or is not finite:
    that would destroy the weights for good. The norm is that of all processes, so they agree.
    """
    state = run.state
    if not counted:  # momentum and decay would move the weights all the same
        measured.skipped += 1
        state.optimizer.zero_grad(set_to_none=True)
        return
    norm = state.parallelism.step(state.optimizer, state.parameters)
    if norm is None:
        measured.skipped += 1
        return
    state.schedule.step()
    if state.ema is not None:
        state.ema.step(state.parameters)
    measured.grad_norm = measured.grad_norm + norm
    measured.updates += 1
