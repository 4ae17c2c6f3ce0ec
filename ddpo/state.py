"""All that a run is between two iterations, and its form in a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from ddpo.algorithms import Algorithm
from ddpo.checkpoint import Checkpoint
from ddpo.parallelism import Parallelism
from ddpo.sharding import placed_like, trained_parameters, whole_on_main
from ddpo.trajectory import Policy


@dataclass
class TrainState:
    """What changes while a run goes on, and is therefore saved.

    Attributes:
        iteration: the last one that is complete.
        samples_seen: samples trained on so far, over all processes.
        network_passes: samples' worth of passes so far, over all processes, evaluation not counted.
        random_states: this process's, as they were when the last iteration was complete: what came
            after, and was cut off, will be done again.
        whole: whether nothing has changed since then; if not, this is no state to save.
        found_sizes: of the plan's passes, where those planned did not fit the memory.
    """

    policy: Policy
    optimizer: Any
    schedule: Any
    ema: EMAModel | None
    algorithm: Algorithm
    accelerator: Accelerator
    parallelism: Parallelism
    iteration: int = 0
    samples_seen: int = 0
    network_passes: int = 0
    random_states: dict[str, Any] = field(default_factory=lambda: _random_states())
    whole: bool = True
    found_sizes: dict[str, int] = field(default_factory=dict)

    def mark(self) -> None:
        """Declare that all of the iteration is done: a checkpoint is as of now."""
        self.random_states = _random_states()
        self.whole = True

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer trains."""
        return list(trained_parameters(self.policy.network).values())

    @contextmanager
    def averaged_weights(self):
        """Inside, the policy bears the moving average of its weights, if one is kept."""
        if self.ema is None:
            yield
            return
        self.ema.store(self.parameters)
        self.ema.copy_to(self.parameters)
        try:
            yield
        finally:
            self.ema.restore(self.parameters)

    def checkpoint(self) -> Checkpoint:
        """The whole state, of all processes. A collective: every process calls it, the main one
        writes the result.
        """
        tensors, optimizer = _flat_optimizer(
            self.parallelism.optimizer_state(self.optimizer, self.parameters)
        )
        random_tensors, random_plain = _gathered(self.random_states)
        ema = {} if self.ema is None else _numbered(self.ema.shadow_params)
        scaler = self.accelerator.scaler
        is_main = self.accelerator.is_main_process
        return Checkpoint(
            tensors={
                "weights": self.parallelism.weights(self.policy),
                "optimizer": whole_on_main(tensors, is_main=is_main),
                "ema": whole_on_main(ema, is_main=is_main),
                "random_states": random_tensors,
            },
            state={
                "iteration": self.iteration,
                "samples_seen": self.samples_seen,
                "network_passes": self.network_passes,
                "optimizer": optimizer,
                "schedule": self.schedule.state_dict(),
                "ema_step": None if self.ema is None else self.ema.optimization_step,
                "algorithm": self.algorithm.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "random_states": random_plain,
                "processes": self.accelerator.num_processes,
                "found_sizes": self.found_sizes,
            },
        )

    def restore(self, saved: Checkpoint) -> None:
        """Continue from a checkpoint as if nothing had happened in between."""
        state = saved.state
        self.parallelism.load_weights(self.policy, saved.tensors["weights"])
        optimizer = _nested_optimizer(saved.tensors["optimizer"], state["optimizer"])
        self.parallelism.load_optimizer_state(self.optimizer, self.parameters, optimizer)
        self.schedule.load_state_dict(state["schedule"])
        if self.ema is not None:
            self.ema.optimization_step = state["ema_step"]
            for index, shadow in enumerate(self.ema.shadow_params):
                shadow.copy_(placed_like(saved.tensors["ema"][str(index)], shadow))
        self.algorithm.load_state_dict(state["algorithm"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        process = self.accelerator.process_index % state["processes"]
        _set_random_states(
            saved.tensors["random_states"], state["random_states"][str(process)], process
        )
        self.mark()
        self.iteration = state["iteration"]
        self.samples_seen = state["samples_seen"]
        self.network_passes = state["network_passes"]
        self.found_sizes = dict(state["found_sizes"])


def _numbered(tensors: list[Tensor]) -> dict[str, Tensor]:
    return {str(index): tensor for index, tensor in enumerate(tensors)}


def _flat_optimizer(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's tensors as `<parameter>.<name>`, or `<parameter>.<name>.<part>` where they are
    nested; and the rest as plain JSON: its groups, and numbers likewise named.
    """
    leaves = dict(_leaves(state["state"]))
    tensors = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, Tensor)}
    numbers = {name: leaf for name, leaf in leaves.items() if name not in tensors}
    return tensors, {"groups": state["param_groups"], "numbers": numbers}


def _leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What a tree of mappings holds, by its path."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _nested_optimizer(tensors: Mapping[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `_flat_optimizer`."""
    state: dict[int, dict[str, Any]] = {}
    for key, leaf in {**tensors, **rest["numbers"]}.items():
        index, *path, name = key.split(".")
        branch = state.setdefault(int(index), {})
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = leaf
    return {"state": state, "param_groups": rest["groups"]}


def _random_states() -> dict[str, Any]:
    """This process's random states, as arrays and plain JSON types.

    Arrays, because torch's own pickling of byte tensors between processes is broken.
    """
    name, keys, *position = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    arrays = {"torch": torch.get_rng_state().numpy().copy(), "numpy": np.array(keys)}
    arrays |= {f"cuda.{index}": state.numpy().copy() for index, state in enumerate(cuda)}
    return {"arrays": arrays, "plain": {"numpy": [name, *position], "python": random.getstate()}}


def _gathered(states: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Every process's random states: arrays as tensors, the rest as it is, keyed by process."""
    tensors: dict[str, Tensor] = {}
    everyone = gather_object([states])
    for rank, its in enumerate(everyone):
        tensors |= {f"{rank}.{name}": torch.from_numpy(a) for name, a in its["arrays"].items()}
    return tensors, {str(rank): its["plain"] for rank, its in enumerate(everyone)}


def _set_random_states(
    tensors: Mapping[str, Tensor], plain: Mapping[str, Any], process: int
) -> None:
    """Set the random states of one of the processes that `_gathered` gave."""
    torch.set_rng_state(tensors[f"{process}.torch"])
    for device in range(torch.cuda.device_count()):  # there may be fewer than when it was saved
        if (state := tensors.get(f"{process}.cuda.{device}")) is not None:
            torch.cuda.set_rng_state(state, device)
    name, *position = plain["numpy"]
    np.random.set_state((name, tensors[f"{process}.numpy"].numpy(), *position))
    version, words, gauss = plain["python"]
    random.setstate((version, tuple(words), gauss))
