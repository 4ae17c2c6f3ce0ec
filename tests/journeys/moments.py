"""What tests do to a run from inside its process: stop it at a chosen moment, or break a part."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from safetensors import SafetensorError

import ddpo.checkpoint
import ddpo.run
import ddpo.update
import rewards.image.png
from ddpo.__main__ import main
from ddpo.checkpoint import Checkpoint
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.metrics import MetricsLog
from ddpo.scoring import Scoring
from ddpo.state import TrainState
from ddpo.text.policy import TokenPolicy
from ddpo.trajectory import Evaluation

STAGES: dict[str, tuple[Any, str]] = {
    "preparing": (ddpo.run, "load_prompts"),
    "sampling": (DiffusionPolicy, "sample"),
    "scoring": (Scoring, "finish"),
    "updating": (DiffusionPolicy, "evaluate"),
    "updating a language model": (TokenPolicy, "evaluate"),
    "recording": (MetricsLog, "append"),
    "saving": (ddpo.checkpoint, "save_file"),
    "picturing": (rewards.image.png, "encode"),
    "finishing": (DiffusionPolicy, "save_pretrained"),
}
"""What is called while a run is at it."""

Hook = Callable[[], None]


def ddpo_command(arguments: Sequence[str], hooks: Sequence[Hook] = ()) -> int:
    """The command line in this process, after its hooks."""
    for hook in hooks:
        hook()
    return main(arguments)


def at(stage: str, call: int, action: Hook, rank: int = 0) -> Hook:
    """A hook: `action` happens right after the given call (from 1) of a stage, on one rank."""
    return partial(_hook, stage, call, action, rank)


def _hook(stage: str, call: int, action: Hook, rank: int) -> None:
    if int(os.environ.get("RANK", "0")) != rank:
        return
    owner, name = STAGES[stage]
    function, calls = getattr(owner, name), []

    def counted(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        calls.append(None)
        if len(calls) == call:
            action()
        return result

    setattr(owner, name, counted)


def killed() -> None:
    """The process is gone, without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def sent(number: int) -> Hook:
    """The process gets a signal."""
    return partial(signal.raise_signal, number)


def stuck(seconds: float) -> Hook:
    """The process does nothing for a while."""
    return partial(time.sleep, seconds)


def said(word: str) -> Hook:
    """The process prints a word."""
    return partial(print, word, flush=True)


def disk_full(stage: str, call: int) -> Hook:
    """A hook: there is no room left at the given call (from 1) of a stage."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if stage == "saving":
        error = SafetensorError(f"Error while serializing: I/O error: {error.strerror}")
    return at(stage, call, partial(_raise, error))


def _raise(error: Exception) -> None:
    raise error


def both(*actions: Hook) -> Hook:
    """One action after the other."""
    return partial(_each, actions)


def _each(actions: Sequence[Hook]) -> None:
    for action in actions:
        action()


def gradient_lost(call: int) -> Hook:
    """A hook: the given pass of the policy (from 1) has a gradient that is not finite."""
    return partial(_lose_gradient, call)


def _lose_gradient(call: int) -> None:
    evaluate, calls = DiffusionPolicy.evaluate, []

    def without_gradient(self: DiffusionPolicy, *arguments: Any, **options: Any) -> Evaluation:
        evaluation = evaluate(self, *arguments, **options)
        calls.append(None)
        if len(calls) == call:
            evaluation.log_probs.register_hook(lambda gradient: gradient * torch.nan)
        return evaluation

    DiffusionPolicy.evaluate = without_gradient


NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def out_of_memory(stage: str, call: int, rank: int = 0) -> Hook:
    """A hook: memory runs out at the given call (from 1) of a stage, or half-way through the
    backward pass after a call of `updating`: then `stage` is `backward`.
    """
    if stage == "backward":
        return partial(_out_of_memory_backward, call, rank)
    return at(stage, call, partial(_raise, NO_MEMORY), rank)


def _out_of_memory_backward(call: int, rank: int) -> None:
    if int(os.environ.get("RANK", "0")) != rank:
        return
    evaluate, calls = DiffusionPolicy.evaluate, []

    def then_fails(self: DiffusionPolicy, *arguments: Any, **options: Any) -> Evaluation:
        evaluation = evaluate(self, *arguments, **options)
        calls.append(None)
        if len(calls) == call:
            trained = [p for p in self.network.parameters() if p.requires_grad]

            def fail(gradient: torch.Tensor) -> None:
                handle.remove()
                assert any(p.grad is not None for p in trained), "nothing was half done"
                raise NO_MEMORY

            handle = trained[len(trained) // 2].register_hook(fail)
        return evaluation

    DiffusionPolicy.evaluate = then_fails


def shifted(amount: float) -> Hook:
    """A hook: the policy scores its actions by so much too high."""
    return partial(_shift, amount)


def _shift(amount: float) -> None:
    evaluate = DiffusionPolicy.evaluate

    def shifted_evaluate(self: DiffusionPolicy, *arguments: Any, **options: Any) -> Evaluation:
        evaluation = evaluate(self, *arguments, **options)
        return replace(evaluation, log_probs=evaluation.log_probs + amount)

    DiffusionPolicy.evaluate = shifted_evaluate


def forgetting(item: str) -> Hook:
    """A hook: a restored run has this item of its checkpoint as a fresh run has it."""
    return partial(_forget, item)


def _forget(item: str) -> None:
    restore = TrainState.restore

    def restore_without(self: TrainState, saved: Checkpoint) -> None:
        restore(self, _without(item, saved, self.checkpoint()))

    TrainState.restore = restore_without


def _without(item: str, saved: Checkpoint, fresh: Checkpoint) -> Checkpoint:
    kind, *path = item.split("/")
    return replace(saved, **{kind: _grafted(getattr(saved, kind), getattr(fresh, kind), path)})


def _grafted(onto: Any, source: Any, path: Sequence[str]) -> Any:
    """`onto` with what lies at `path` taken from `source`."""
    if not path:
        return source
    key, *rest = path
    return {**onto, key: _grafted(onto[key], source[key], rest)}
