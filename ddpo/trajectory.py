"""What a chain is: `Trajectory`, the finished chains of one batch, and `Policy`, what makes and
re-scores them.

Everything after the model sees only these. A denoising chain and a token chain differ behind
`Policy` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpo.randomness import RowGenerator


@dataclass(frozen=True)
class Trajectory:
    """Finished chains of B samples with A actions each. Holds no graph.

    Attributes:
        prompts: what conditioned each chain, length B.
        log_probs: `[B, A]` fp32, of each action under the policy that sampled it.
        mask: `[B, A]` fp32, 1 where an action counts.
        record: tensors `[B, ...]` that the policy needs to score the actions again.
        outputs: what a reward sees: images `[B, 3, H, W]` in [0, 1], or B texts; None once they
            were scored.
        columns: the prompts' dataset columns, each of length B.
        measured: what else was found while sampling, fp32: `values [B, A]` of the critic;
            `ref_log_probs [B, A]` under the reference policy; `penalty [B]`, what a sample loses of
            its reward for how it ended.
    """

    prompts: list[str]
    log_probs: Float[Tensor, "b a"]
    mask: Float[Tensor, "b a"]
    record: dict[str, Tensor]
    outputs: Tensor | list[str] | None
    columns: dict[str, list[Any]] = field(default_factory=dict)
    measured: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse parts of different lengths, and a graph."""
        tensors = [self.log_probs, self.mask, *self.record.values(), *self.measured.values()]
        outputs = [] if self.outputs is None else [self.outputs]
        parts = [self.prompts, *tensors, *self.columns.values(), *outputs]
        if any(len(part) != len(self.prompts) for part in parts):
            raise ValueError(f"a trajectory's parts differ in length: {[len(p) for p in parts]}")
        tensors += [self.outputs] if isinstance(self.outputs, Tensor) else []
        if any(tensor.requires_grad for tensor in tensors):
            raise ValueError("a trajectory never holds a graph: detach its tensors")

    def __len__(self) -> int:
        """B, the number of samples."""
        return len(self.prompts)

    def __getitem__(self, rows: slice | Int[Tensor, " n"]) -> Trajectory:
        """The chains of some rows, given as a slice or as indices."""
        return Trajectory(
            prompts=_take(self.prompts, rows),
            log_probs=self.log_probs[rows],
            mask=self.mask[rows],
            record={name: tensor[rows] for name, tensor in self.record.items()},
            outputs=None if self.outputs is None else _take(self.outputs, rows),
            columns={name: _take(column, rows) for name, column in self.columns.items()},
            measured={name: tensor[rows] for name, tensor in self.measured.items()},
        )

    def to(self, device: torch.device | str) -> Trajectory:
        """The same chains with every tensor on `device`."""
        return replace(
            self,
            log_probs=self.log_probs.to(device),
            mask=self.mask.to(device),
            record={name: tensor.to(device) for name, tensor in self.record.items()},
            outputs=self.outputs.to(device) if isinstance(self.outputs, Tensor) else self.outputs,
            measured={name: tensor.to(device) for name, tensor in self.measured.items()},
        )

    def with_record_on(self, device: torch.device | str) -> Trajectory:
        """The same chains with their record, and nothing else, on `device`."""
        record = {name: tensor.to(device) for name, tensor in self.record.items()}
        return replace(self, record=record)

    def without_outputs(self) -> Trajectory:
        """The same chains, their outputs let go: after scoring nothing needs them."""
        return replace(self, outputs=None)

    def room_for(self, count: int) -> Trajectory:
        """A trajectory of `count` rows like these; what is in them is to be `put` there."""
        return Trajectory(
            prompts=_room(self.prompts, count),
            log_probs=_room(self.log_probs, count),
            mask=_room(self.mask, count),
            record={name: _room(tensor, count) for name, tensor in self.record.items()},
            outputs=None if self.outputs is None else _room(self.outputs, count),
            columns={name: _room(column, count) for name, column in self.columns.items()},
            measured={name: _room(tensor, count) for name, tensor in self.measured.items()},
        )

    def put(self, start: int, part: Trajectory) -> None:
        """Replace as many rows from `start` on as `part` has, in place."""
        rows = slice(start, start + len(part))
        own, new = (
            [t.log_probs, t.mask, *t.record.values(), *t.measured.values()]
            + ([] if t.outputs is None else [t.outputs])
            for t in (self, part)
        )
        lists = [(self.prompts, part.prompts)]
        lists += [(column, part.columns[name]) for name, column in self.columns.items()]
        for place, values in [*zip(own, new, strict=True), *lists]:
            place[rows] = values  # pyright: ignore[reportArgumentType]

    @staticmethod
    def concatenate(parts: Sequence[Trajectory]) -> Trajectory:
        """One trajectory of all rows, in order. `parts` holds at least one."""
        whole, start = parts[0].room_for(sum(map(len, parts))), 0
        for part in parts:
            whole.put(start, part)
            start += len(part)
        return whole


@dataclass(frozen=True)
class Evaluation:
    """Some actions scored again, with gradients.

    Attributes:
        log_probs: `[b, a]` fp32 under the policy as it is now.
        kl: `[b, a]` to the reference policy, in nats per action (image: mean over latent
            dimensions; text: k3 of the token); None unless asked.
        entropy: `[b, a]` nats, where the policy can tell.
        values: `[b, a]`, where the policy has a critic.
        squared_mean_shift: `[b, a]`, mean over latent dimensions of (μ − μ_old)², where the policy
            recorded μ_old, the mean of a step.
        step_scale: `[b, a]`, std of each step of a denoising chain, or the noise level.
        velocity_error: `[b, a, *latent]`, the velocity minus the one to match, where the policy
            recorded what the one that sampled said.
        old_velocity_error: `[b, a, *latent]`, the same of that one.
    """

    log_probs: Float[Tensor, "b a"]
    kl: Float[Tensor, "b a"] | None = None
    entropy: Float[Tensor, "b a"] | None = None
    values: Float[Tensor, "b a"] | None = None
    squared_mean_shift: Float[Tensor, "b a"] | None = None
    step_scale: Float[Tensor, "b a"] | None = None
    velocity_error: Float[Tensor, "b a *latent"] | None = None
    old_velocity_error: Float[Tensor, "b a *latent"] | None = None


@runtime_checkable
class Policy(Protocol):
    """A generative model whose chain is a Markov decision process.

    On-policy and before any update, `evaluate` returns the `log_probs` that `sample` stored.
    """

    @property
    def network(self) -> nn.Module:
        """What is trained. Every pass goes through it."""
        ...

    @network.setter
    def network(self, network: nn.Module) -> None:
        """The loop replaces it by its distributed wrapper."""
        ...

    @property
    def reference_network(self) -> nn.Module | None:
        """A frozen copy of the network that is the reference policy, where there is one."""
        ...

    @property
    def network_passes(self) -> int:
        """How many samples' worth of forward passes of the network were made so far, on this
        process.
        """
        ...

    @network_passes.setter
    def network_passes(self, passes: int) -> None:
        """A pass that has to be made again is not counted twice."""
        ...

    @property
    def action_dimensions(self) -> int:
        """How many dimensions `log_prob` is a mean over: latent dimensions, or 1 for tokens."""
        ...

    def check_prompts(self, prompts: Sequence[str], key: str) -> None:
        """Refuse prompts that the model cannot read whole.

        Args:
            prompts: all that it may be given.
            key: of the configuration, for messages, such as `prompts`.

        Raises:
            UserError: there is one.
        """
        ...

    def sample(
        self, prompts: Sequence[str], generator: RowGenerator, *, heldout: bool = False
    ) -> Trajectory:
        """Run the chain once per prompt, without gradients, drawing noise from `generator`.

        Held-out samples may have a chain of their own.
        """
        ...

    def evaluate(
        self, trajectory: Trajectory, actions: Int[Tensor, " a"], *, with_kl: bool = False
    ) -> Evaluation:
        """Score these columns of the trajectory's actions again, with gradients, in one network
        pass. `actions` is best on the CPU, where nobody waits to know them.
        """
        ...

    def trained_state(self) -> dict[str, Tensor]:
        """Names and tensors of what is trained."""
        ...

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace what is trained by a state that `trained_state` gave."""
        ...

    def save_pretrained(
        self, folder: Path, state: Mapping[str, Tensor], base_model: str | None = None
    ) -> None:
        """Write the model (or its adapter) in the form that its home library loads, with this
        `trained_state`, whole, for what is trained. An adapter says which model it is for.
        """
        ...


def _room(values: Any, count: int) -> Any:
    """A tensor or a list of `count` rows like these, whatever is in them."""
    if isinstance(values, Tensor):
        return values.new_empty((count, *values.shape[1:]))
    return values[:1] * count


def _take(values: Any, rows: slice | Tensor) -> Any:
    """Rows of a tensor or of a list."""
    if isinstance(values, Tensor) or isinstance(rows, slice):
        return values[rows]
    return [values[row] for row in rows.tolist()]
