"""A network in pieces on several processes (FSDP2): its parameters, and tensors put together and
divided again.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, extract_model_from_parallel
from torch import Tensor, nn
from torch.distributed import all_gather_into_tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, Shard, distribute_tensor


def passes_are_local(accelerator: Accelerator) -> bool:
    """Whether every process holds the whole network, so that passes exchange nothing."""
    divided = (DistributedType.FSDP, DistributedType.DEEPSPEED)
    return accelerator.distributed_type not in divided


def trained_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained, by name, each process with its piece: passes may have left what they put
    together.
    """
    plain = extract_model_from_parallel(network)
    for module in plain.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    return {name: p for name, p in plain.named_parameters() if p.requires_grad}


def trained_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The same without a graph."""
    return {name: p.detach() for name, p in trained_parameters(network).items()}


def load_trained_tensors(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy what `trained_tensors` gave into a network, in place.

    Raises:
        KeyError: the names differ.
    """
    own = trained_tensors(network)
    if own.keys() != state.keys():
        raise KeyError(f"trained parameters differ: {sorted(own.keys() ^ state.keys())[:3]} …")
    for name, parameter in own.items():
        parameter.copy_(placed_like(state[name], parameter))


def whole(tensor: Tensor) -> Tensor:
    """The tensor with the pieces of all processes; itself where each has all of it. A
    collective.
    """
    if not isinstance(tensor, DTensor):
        return tensor
    if tensor.device.type == "cpu" and tensor.placements == (Shard(0),):
        return _rows_together(tensor)
    return tensor.full_tensor()


def whole_on_main(tensors: Mapping[str, Tensor], *, is_main: bool) -> dict[str, Tensor]:
    """Each of them whole. A collective.

    What lies in pieces comes to the main process only, and to its CPU: all of it at once may fit
    no GPU, and as many times as there are processes no machine.
    """
    found = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            found[name] = tensor
            continue
        complete = whole(tensor)
        if is_main:
            found[name] = complete.cpu()
    return found


def placed_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor in the dtype, on the device and in the memory layout of `like`, and in pieces where
    that is. Exchanges nothing: every process has all of it, or its piece already.
    """
    moved = tensor.to(like.device, like.dtype)
    if isinstance(moved, DTensor):
        return moved
    if not isinstance(like, DTensor):
        return moved if moved.stride() == like.stride() else torch.empty_like(like).copy_(moved)
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)


def _rows_together(tensor: DTensor) -> Tensor:
    """`full_tensor()` of rows that lie in order on the processes, by torch's plain gathering.

    On the CPU `full_tensor()` gathers by gloo's coalesced way, in which a process now and then dies
    of a double free (torch 2.15; github.com/pytorch/pytorch/issues/65231). A network that is
    divided along two axes still does.
    """
    processes = tensor.device_mesh.size()
    rows, *others = tensor.shape
    share = -(-rows // processes)
    local = tensor.to_local()
    padded = local.new_zeros(share, *others)
    padded[: len(local)] = local
    gathered = local.new_empty(share * processes, *others)
    all_gather_into_tensor(gathered, padded, group=tensor.device_mesh.get_group())
    return gathered[:rows]
