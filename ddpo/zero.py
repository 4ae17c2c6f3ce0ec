"""DeepSpeed's ZeRO: gradients and optimizer in pieces (stage 2), the network as well (stage 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import deepspeed  # pyright: ignore[reportMissingImports]
import torch
from accelerate import Accelerator
from deepspeed.utils import (  # pyright: ignore[reportMissingImports]
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)
from torch import Tensor, nn

from ddpo.sharding import trained_parameters
from ddpo.trajectory import Policy

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of each element."""


@final
class ZeroParallelism:
    """A `Parallelism` whose gradients and steps are those of DeepSpeed's engine."""

    def __init__(self, accelerator: Accelerator, max_norm: float):
        """Of the processes that `accelerator` joined, with gradients clipped to a norm."""
        self._accelerator = accelerator
        self._max_norm = max_norm
        self._plugin: Any = accelerator.deepspeed_plugin
        self._engine: Any = None

    def prepare(self, policy: Policy, optimizer: torch.optim.Optimizer) -> Any:
        """See `Parallelism`."""
        config = self._plugin.deepspeed_config
        # the loss is divided by what counts already, whatever the division into passes
        config |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1}
        config["gradient_clipping"] = self._max_norm
        self._engine, prepared = self._accelerator.prepare(policy.network, optimizer)
        policy.network = self._engine
        self._begin_states()
        return prepared

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """See `Parallelism`. The engine averages over processes after the last."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """See `Parallelism`. They are averaged already."""

    def step(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """See `Parallelism`. The engine finds out by itself what is not finite."""
        self._engine.step()
        if self._engine.optimizer.overflow:
            return None
        return torch.as_tensor(self._engine.get_global_grad_norm()).float()

    def weights(self, policy: Policy) -> dict[str, Tensor]:
        """See `Parallelism`. In the fp32 that the optimizer works on."""
        weights = {}
        for name, parameter in trained_parameters(policy.network).items():
            whole = safe_get_full_fp32_param(parameter)
            if self._accelerator.is_main_process:
                weights[name] = whole.cpu()
        return weights

    def load_weights(self, policy: Policy, state: Mapping[str, Tensor]) -> None:
        """See `Parallelism`."""
        for name, parameter in trained_parameters(policy.network).items():
            value = state[name].to(self._accelerator.device)
            safe_set_full_fp32_param(parameter, value)
            with torch.no_grad(), deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
                parameter.copy_(value)

    def optimizer_state(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
        """See `Parallelism`."""
        step = next(iter(self._engine.optimizer.optimizer.state.values()))["step"]
        state: dict[int, dict[str, Tensor]] = {}
        for index, parameter in enumerate(parameters):
            state[index] = {"step": step.clone()}
            for name in MOMENTS:
                moment = safe_get_full_optimizer_state(parameter, name)
                if self._accelerator.is_main_process:
                    state[index][name] = moment.cpu()
        (group,) = optimizer.param_groups
        return {"state": state, "param_groups": [{**group, "params": [*state]}]}

    def load_optimizer_state(
        self, optimizer: Any, parameters: Sequence[nn.Parameter], state: Mapping[str, Any]
    ) -> None:
        """See `Parallelism`."""
        for index, leaves in state["state"].items():
            for name in MOMENTS:
                moment = leaves[name].to(self._accelerator.device)
                safe_set_full_optimizer_state(parameters[index], moment, name)
        for kept in self._engine.optimizer.optimizer.state.values():
            kept["step"].copy_(state["state"][0]["step"])
        (group,), (saved,) = optimizer.param_groups, state["param_groups"]
        group.update({name: value for name, value in saved.items() if name != "params"})

    def _begin_states(self) -> None:
        """AdamW would begin its state at the first step; what is restored needs a place before."""
        zero = self._engine.optimizer
        pieces = (
            zero.fp32_partitioned_groups_flat
            if self._plugin.zero_stage == 3
            else (zero.single_partition_of_fp32_groups)
        )
        for piece in pieces:
            moments = {name: torch.zeros_like(piece) for name in MOMENTS}
            zero.optimizer.state[piece] = {"step": torch.tensor(0.0), **moments}
        if self._plugin.zero_stage < 3:
            zero._lazy_init_hp_params_optimizer_state()
