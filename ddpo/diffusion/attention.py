"""Attention back ends by name: set on the network, looked for on it, and tried out before a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend
from diffusers.utils import is_xformers_available

from ddpo.errors import UserError

PROBE_TOKENS = 16
"""Length of the sequence that a back end is tried out on."""

DISPATCHED = tuple(backend.value for backend in AttentionBackendName)
"""Names that diffusers' dispatcher knows. Those that end in `_hub` download code."""


def set_attention(
    network: Any,
    name: str,
    processors: Mapping[str, type],
    autocast: AbstractContextManager[Any],
) -> None:
    """Make all of a network's attention use one back end, and check that it does and can train.

    Args:
        network: a diffusers model, on its device and in its dtype.
        name: of the back end.
        processors: the model's processors by name; empty for a model on diffusers' dispatcher.
        autocast: that the network runs under.

    Raises:
        UserError: the model has no such back end, what it needs is missing or does not run here,
            it was not taken everywhere, or no gradient comes through it.
    """
    known = tuple(processors) or DISPATCHED
    if name not in known:
        raise UserError(
            f"policy.attention: {name} is none of {type(network).__name__}'s back ends: "
            f"{', '.join(word for word in known if not word.startswith('_'))}"
        )
    if name == "xformers" and not is_xformers_available():
        raise UserError("policy.attention: xformers is not installed; pip install xformers")
    with _refusing(name):
        if processors:
            network.set_attn_processor(processors[name]())
        else:
            # diffusers would make it that of every other model too
            with attention_backend(AttentionBackendName.NATIVE):
                network.set_attention_backend(name)
    _check_taken(network, name, processors)
    with _refusing(name):
        gradient = _gradient_through(network, autocast)
    if gradient is None or not gradient.any():
        raise UserError(
            f"policy.attention: {name} lets no gradient through, so it cannot train; use native"
        )


def backends_in_force(network: Any, processors: Mapping[str, type]) -> set[str | None]:
    """Names of the back ends that the network's attention uses; None for one without a name."""
    own = network.attn_processors.values()
    if not processors:
        asked = {getattr(processor, "_attention_backend", None) for processor in own}
        return {None if one is None else AttentionBackendName(one).value for one in asked}
    names = {kind: name for name, kind in processors.items()}
    return {names.get(type(processor)) for processor in own}


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """A back end that is missing or does not run is a UserError with its own words."""
    try:
        yield
    except Exception as error:  # back ends have no common error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"policy.attention: {name} does not run here: {reason}") from error


def _check_taken(network: Any, name: str, processors: Mapping[str, type]) -> None:
    """Compare what was asked for with what is there."""
    others = backends_in_force(network, processors) - {name}
    if others:
        raise UserError(
            f"policy.attention: {name} had no effect on all of {type(network).__name__}, which "
            f"keeps {', '.join(map(str, others))}; leave the key out"
        )


def _gradient_through(network: Any, autocast: AbstractContextManager[Any]) -> torch.Tensor | None:
    """Run the network's first attention layer on some tokens, and return their gradient."""
    layer = network.get_submodule(next(iter(network.attn_processors)).removesuffix(".processor"))
    weight = next(network.parameters())
    values = torch.linspace(-1, 1, PROBE_TOKENS * layer.query_dim)
    context = values.view(1, PROBE_TOKENS, -1).to(weight)
    tokens = context.clone().requires_grad_()
    joint = layer.added_kv_proj_dim is not None
    with torch.enable_grad(), autocast:
        output = layer(tokens, encoder_hidden_states=context)[0] if joint else layer(tokens)
    if not output.requires_grad:
        return None
    return torch.autograd.grad(output.float().sum(), tokens, allow_unused=True)[0]
