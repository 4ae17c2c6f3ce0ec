"""Where the one network that all processes train lies: whole on each of them, or in pieces; and
what an optimizer step and its whole state therefore are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, final, runtime_checkable

import torch.distributed
from accelerate import Accelerator
from accelerate.utils import DistributedType, fsdp2_prepare_model
from torch import Tensor, nn

from ddpo.sharding import (
    passes_are_local,
    placed_like,
    whole,
    whole_on_main,
)
from ddpo.trajectory import Policy

BUCKET = 1 << 24
"""Elements of gradients that are exchanged at once: 64 MB in fp32."""


@runtime_checkable
class Parallelism(Protocol):
    """How processes share a network, its gradients and its optimizer.

    Everything but `backward` is a collective, and gives the same on all processes.
    """

    def prepare(self, policy: Policy, optimizer: torch.optim.Optimizer) -> Any:
        """Put the policy's network where it is to be; returns the optimizer to use instead."""
        ...

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add to the gradient of an update.

        Args:
            loss: of one network pass.
            last: whether no other follows before the step.
        """
        ...

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give all processes the mean of their gradients, once they are complete."""
        ...

    def step(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """One optimizer step with the averaged gradient, clipped, which is then forgotten.

        Returns:
            The norm before clipping; None if it was not finite, and nothing was done.
        """
        ...

    def weights(self, policy: Policy) -> dict[str, Tensor]:
        """The policy's `trained_state`, whole on the main process."""
        ...

    def load_weights(self, policy: Policy, state: Mapping[str, Tensor]) -> None:
        """Replace what is trained by such a state."""
        ...

    def optimizer_state(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
        """As torch's `state_dict`; its tensors may be in pieces."""
        ...

    def load_optimizer_state(
        self, optimizer: Any, parameters: Sequence[nn.Parameter], state: Mapping[str, Any]
    ) -> None:
        """Replace what the optimizer remembers by such a state, its tensors whole."""
        ...


def parallelism_of(accelerator: Accelerator, max_norm: float) -> Parallelism:
    """What this launch of accelerate asks for, with gradients clipped to a norm."""
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        return TorchParallelism(accelerator, max_norm)
    from ddpo.zero import ZeroParallelism

    return ZeroParallelism(accelerator, max_norm)


@final
class TorchParallelism:
    """Plain data parallelism, every process with the whole network; or FSDP2, each with a piece."""

    def __init__(self, accelerator: Accelerator, max_norm: float):
        """Of the processes that `accelerator` joined, with gradients clipped to a norm."""
        self._accelerator = accelerator
        self._max_norm = max_norm

    def prepare(self, policy: Policy, optimizer: torch.optim.Optimizer) -> Any:
        """See `Parallelism`.

        A network that every process holds whole is put behind no wrapper that exchanges gradients:
        it would do so while its last backward pass goes on, which could no longer be undone if
        memory ran out in it. `average_gradients` does it afterwards.
        """
        accelerator = self._accelerator
        if not passes_are_local(accelerator):
            policy.network, prepared = accelerator.prepare(policy.network, optimizer)
            if policy.reference_network is not None:
                fsdp2_prepare_model(accelerator, policy.reference_network)
            return prepared
        policy.network = accelerator.prepare_model(policy.network, evaluation_mode=True)
        if accelerator.num_processes > 1:
            for parameter in policy.network.parameters():
                torch.distributed.broadcast(parameter.data, src=0)
        return accelerator.prepare_optimizer(optimizer)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """See `Parallelism`."""
        self._accelerator.backward(loss)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """See `Parallelism`. In pieces, they are averaged already."""
        if self._accelerator.num_processes == 1 or not passes_are_local(self._accelerator):
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        for together in _buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in together])
            torch.distributed.all_reduce(flat)
            flat /= self._accelerator.num_processes
            parts = flat.split([gradient.numel() for gradient in together])
            for gradient, part in zip(together, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def step(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """See `Parallelism`."""
        accelerator = self._accelerator
        norm = accelerator.clip_grad_norm_(parameters, self._max_norm)
        assert isinstance(norm, Tensor)
        norm = whole(norm)
        finite = bool(norm.isfinite())
        if finite or accelerator.scaler is not None:  # the scaler skips, and lowers its scale
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done = finite and not accelerator.optimizer_step_was_skipped
        return norm.detach() if done else None

    def weights(self, policy: Policy) -> dict[str, Tensor]:
        """See `Parallelism`."""
        return whole_on_main(policy.trained_state(), is_main=self._accelerator.is_main_process)

    def load_weights(self, policy: Policy, state: Mapping[str, Tensor]) -> None:
        """See `Parallelism`."""
        policy.load_trained_state(state)

    def optimizer_state(self, optimizer: Any, parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
        """See `Parallelism`."""
        return optimizer.state_dict()

    def load_optimizer_state(
        self, optimizer: Any, parameters: Sequence[nn.Parameter], state: Mapping[str, Any]
    ) -> None:
        """See `Parallelism`. What is as large as its parameter is in pieces where that is."""
        for index, leaves in state["state"].items():
            for name, leaf in leaves.items():
                if isinstance(leaf, Tensor) and leaf.shape == parameters[index].shape:
                    leaves[name] = placed_like(leaf, parameters[index])
        optimizer.load_state_dict(state)


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients of a kind one after the other, as many together as make up a bucket; one that is
    larger is alone.
    """
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        together, size = [], 0
        for gradient in (g for g in gradients if g.dtype == dtype):
            if together and size + gradient.numel() > BUCKET:
                yield together
                together, size = [], 0
            together.append(gradient)
            size += gradient.numel()
        yield together
