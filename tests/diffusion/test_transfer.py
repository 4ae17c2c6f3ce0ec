"""That nothing in the chain waits for the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ddpo.diffusion.forward_process import ForwardProcessPolicy
from ddpo.randomness import RowGenerator
from ddpo.transfer import sent
from tests.support.pipelines import PIPELINES
from tests.support.policies import built

META = torch.device("meta")
"""A device without content: whatever is read back from it is an error."""

FLOW = ("sd3", "flux-dev", "flux-schnell")


class Copies(TorchDispatchMode):
    """Counts copies to the device, by whether somebody waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Counter[bool]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        moved = func is torch.ops.aten._to_copy.default and options.get("device") == META
        if moved and args[0].device != META:
            self.waiting[not options.get("non_blocking", False)] += 1
        return func(*args, **options)


@pytest.mark.parametrize("forward_process", [False, True])
@pytest.mark.parametrize("name", PIPELINES)
def test_nothing_is_read_back_and_nobody_waits(
    name: str, forward_process: bool, models: Callable[[str], Path]
) -> None:
    if forward_process and name not in FLOW:
        return
    guidance = None if name == "flux-schnell" else 3.0
    plain: Any = built(models(name), num_steps=4, resolution=16, guidance_scale=guidance)
    policy: Any = ForwardProcessPolicy(plain, share=1.0) if forward_process else plain
    prompts = ["a dog", "a red fox"]
    for prompt in prompts:  # encoded once in a run
        plain._conditioner.both_branches([prompt], 1)
    plain.family.pipeline.to(META)
    known = plain._conditioner._by_prompt
    for prompt, values in known.items():
        known[prompt] = {key: value.to(META) for key, value in values.items()}
    without = plain._conditioner._unconditional
    plain._conditioner._unconditional = {key: value.to(META) for key, value in without.items()}
    generator = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0)))
    policy.sample(prompts, generator)  # the chain's numbers go there once in a run
    sampling, scoring = Copies(), Copies()
    with sampling:
        trajectory = policy.sample(prompts, generator)
    with scoring:
        for actions in torch.arange(3).split(1):
            policy.evaluate(trajectory, actions, with_kl=True).log_probs.sum().backward()
    assert sampling.waiting[True] == 0
    assert sampling.waiting[False] >= 5  # noise
    assert scoring.waiting[True] == 0


def test_what_was_sent_is_the_same() -> None:
    noise = torch.randn(3)
    assert torch.equal(sent(noise, torch.device("cpu")), noise)
