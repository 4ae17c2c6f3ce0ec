"""What a gradient is worth: how much of an update's gradient is signal, by chain, baseline, steps
and weights, before any training.

    python -m benchmarks.gradient_signal compressibility --out FILE

Groups of eight samples of the base model are scored, and the gradient that each action adds to a
group's update is kept, projected to random dimensions (feature hashing, Weinberger et al. 2009),
which keeps inner products. With u the gradient of one group under some baseline and weights, and m
its mean, the signal of an update of eight groups is |m|^2 over the noise E|u - m|^2/8; products of
different groups estimate it without bias. Not all points the same way, so `useful` counts only
the part of m along the gradient of the whole chain with equal weights. Each is given with the
network passes, sampling included, of an update whose signal would equal its noise. `transfer` is
the cosine with the gradient of the chain that is evaluated, 20 steps with guidance 3. All are
estimates with noise of their own, which `error` says for the signal: its jackknife over groups.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import write_result
from benchmarks.time_to_reward import TASKS, own_reward, prepared
from ddpo import advantages
from ddpo.randomness import RowGenerator
from ddpo.run import Run

CHAINS = {
    "20 steps, guidance 3": ["policy.num_steps=20", "policy.guidance_scale=3"],
    "10 steps, guidance 3": ["policy.num_steps=10", "policy.guidance_scale=3"],
    "10 steps": ["policy.num_steps=10"],
    "5 steps, guidance 3": ["policy.num_steps=5", "policy.guidance_scale=3"],
    "5 steps, guidance 3 in the first half": [
        "policy.num_steps=5",
        "policy.guidance_scale=3",
        "policy.guidance_interval=[0, 0.5]",
    ],
    "5 steps": ["policy.num_steps=5"],
    "5 steps, shared noise": ["policy.num_steps=5", "policy.shared_noise=true"],
    "4 steps": ["policy.num_steps=4"],
    "3 steps": ["policy.num_steps=3"],
}
"""The first is that which is evaluated."""

EVERY_STEP = ["policy.window=null"]
"""Whatever part of the steps the configurations train."""

SHIPPED = "5 steps"

DIMENSIONS = 2**15
GROUP = 8
UPDATE = 8
"""Groups of an update."""

BASELINES = ("leave_one_out", "group", "batch")
"""The first is taken everywhere, all of them on the chain `SHIPPED`."""

SIGNALS = ("signal", "useful")


@dataclass
class Gradients:
    """Of one chain's groups.

    Attributes:
        actions: by baseline `[G, A, K]`, what each action adds to the ascent of each group.
        scales: `[A]`, the std of each step.
        passes: rows of the network that sampling one takes, and training it on all actions.
    """

    actions: dict[str, Tensor]
    scales: Tensor
    passes: tuple[int, int]

    def of(self, baseline: str, weights: Tensor) -> Tensor:
        """The gradient `[G, K]` of each group, actions weighted."""
        return torch.einsum("gak,a->gk", self.actions[baseline], weights)


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    evaluated: Tensor | None = None
    for name in options.chains:
        with tempfile.TemporaryDirectory() as folder:
            run = prepared(options.task, [*CHAINS[name], *EVERY_STEP], options.seed, folder)
            found = gradients(run, options.groups, BASELINES if name == SHIPPED else BASELINES[:1])
            run.scorer.close()
        whole = found.of(BASELINES[0], torch.ones(len(found.scales)))
        evaluated = whole if evaluated is None else evaluated
        for label, baseline, weights in variants(found):
            units = found.of(baseline, weights)
            trained = int((weights > 0).sum()) * found.passes[1] // len(weights)
            row = {"chain": name, "variant": label, "transfer": cosine(units, evaluated)}
            row |= {"cost": UPDATE * GROUP * (found.passes[0] + trained)}
            row |= {"signal": signal(units), "useful": useful(units, whole)}
            row |= {"error": jackknife(units)}
            rows.append(row)
            print(line(row), flush=True)
        write_result(options.out, {"task": options.task, "groups": options.groups, "rows": rows})


def variants(found: Gradients) -> list[tuple[str, str, Tensor]]:
    """Label, baseline and weights of the actions."""
    count = len(found.scales)
    ones, places = torch.ones(count), torch.arange(count)
    half = (count + 1) // 2
    parts = {
        "weights by std": found.scales,
        "first half": (places < half).float(),
        "second half": (places >= half).float(),
        "every other": (places % 2 == 0).float(),
    }
    every = [(name, name, ones) for name in found.actions]
    return every + [(label, BASELINES[0], weights) for label, weights in parts.items()]


def gradients(run: Run, groups: int, baselines: Sequence[str]) -> Gradients:
    """Sample, score, and take the gradient of every action of every group."""
    policy: Any = run.policy
    rows = tuple((group, sample) for group in range(groups) for sample in range(GROUP))
    prompts = [run.prompts.texts[prompt] for prompt, _ in rows]
    trajectory = policy.sample(prompts, RowGenerator(run.config.seed, 1, rows))
    sampled = policy.network_passes
    scored = own_reward(run).score(trajectory.outputs, prompts).values
    advantage = {name: _advantages(name, torch.as_tensor(scored).float()) for name in baselines}
    parameters = [p for p in policy.network.parameters() if p.requires_grad]
    project = _projection(sum(p.numel() for p in parameters))
    active = trajectory.mask.any(0).nonzero().flatten()
    kept = {name: torch.zeros(groups, len(active), DIMENSIONS) for name in baselines}
    scales = torch.zeros(len(active))
    for group in range(groups):
        mine = slice(group * GROUP, (group + 1) * GROUP)
        for place, action in enumerate(active):
            evaluation = policy.evaluate(trajectory[mine], action[None])
            scales[place] = evaluation.step_scale[0, 0]
            for name, weights in advantage.items():
                ascent = (evaluation.log_probs[:, 0] * weights[mine]).sum()
                found = torch.autograd.grad(ascent, parameters, retain_graph=True)
                kept[name][group, place] = project(torch.cat([g.flatten() for g in found]))
    trained = policy.network_passes - sampled
    return Gradients(kept, scales, (sampled // len(rows), trained // len(rows)))


def _advantages(name: str, scored: Tensor) -> Tensor:
    """Of one mean square, so that baselines compare."""
    ones = torch.ones_like(scored)
    found = {
        "leave_one_out": lambda: advantages.leave_one_out(scored, ones, group_size=GROUP),
        "group": lambda: advantages.group(scored, ones, group_size=GROUP),
        "batch": lambda: advantages.batch(scored, ones),
    }[name]()
    return found / found.square().mean().sqrt()


def _projection(size: int) -> Callable[[Tensor], Tensor]:
    """Feature hashing of vectors `[size]` to `[DIMENSIONS]`."""
    generator = torch.Generator().manual_seed(0)
    bucket = torch.randint(DIMENSIONS, (size,), generator=generator)
    sign = torch.randint(2, (size,), generator=generator).float() * 2 - 1
    return lambda vector: torch.zeros(DIMENSIONS).index_add_(0, bucket, vector * sign)


def signal(units: Tensor) -> float:
    """Power of the mean gradient over that of the noise of an update."""
    return float(product(units, units) / noise(units))


def useful(units: Tensor, whole: Tensor) -> float | None:
    """The same of its part along another mean gradient; None where that is lost in its noise."""
    power = product(whole, whole)
    return max(product(units, whole), 0.0) ** 2 / power / noise(units) if power > 0 else None


def noise(units: Tensor) -> float:
    """Power of the noise of an update."""
    return float(units.square().sum() / len(units) - product(units, units)) / UPDATE


def jackknife(units: Tensor) -> float:
    """Standard error of the signal, from leaving out one group at a time."""
    count = len(units)
    keep = ~torch.eye(count, dtype=torch.bool)
    left = torch.tensor([signal(units[rows]) for rows in keep])
    return float(left.std(correction=0) * (count - 1) ** 0.5)


def product(one: Tensor, other: Tensor) -> float:
    """The product of the means, from products of different groups only."""
    count = len(one)
    total = one.sum(0) @ other.sum(0) - (one * other).sum()
    return float(total / (count * (count - 1)))


def cosine(one: Tensor, other: Tensor) -> float | None:
    """Of two mean gradients; None where one is lost in its noise."""
    powers = product(one, one), product(other, other)
    return product(one, other) / (powers[0] * powers[1]) ** 0.5 if min(powers) > 0 else None


def line(row: dict[str, Any]) -> str:
    """A row in Markdown."""
    signals = f"{row['signal']:.3f} ± {row['error']:.3f} | {_told(row['useful'], '.3f')}"
    costs = (row["cost"] / row[key] if (row[key] or 0) > 0 else None for key in SIGNALS)
    passes = " | ".join(_told(cost, ",.0f") for cost in costs)
    return (
        f"| {row['chain']} | {row['variant']} | {signals} | {passes} "
        f"| {_told(row['transfer'], '.2f')} |"
    )


def _told(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[*TASKS])
    parser.add_argument("--chains", nargs="+", default=[*CHAINS], choices=[*CHAINS])
    parser.add_argument("--groups", type=int, default=48)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
