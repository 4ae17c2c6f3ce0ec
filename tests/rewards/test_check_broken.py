"""The conformance test: each broken reward is caught by name."""

import random

import numpy as np
import pytest
import torch

import rewards
from rewards import Explained, reward
from rewards.testing import Finding, check_reward, examine
from rewards.testing.case import build_case
from rewards.testing.devices import devices
from rewards.testing.examination import PROPERTIES
from rewards.testing.finding import Broken


def mean(images):
    return images.mean(dim=(1, 2, 3))


def raises_for_stars(images, prompts):
    if "star" in "".join(prompts):
        raise ValueError("no stars")
    return mean(images)


def returns_complex(images, prompts):
    return mean(images) + 1j


def returns_text(images, prompts):
    return "many"


def returns_one_for_all(images, prompts):
    return images.mean()


def keeps_channels(images, prompts):
    return images.mean(dim=(2, 3))


def tells_of_one_row_too_many(images, prompts):
    return Explained(mean(images), details={len(images): "beyond"})


def divides_by_zero(images, prompts):
    return mean(images) / 0


def doubles(images, prompts):
    return 2.5 * mean(images)


def halves_the_images(images, prompts):
    return mean(images.mul_(0.5))


def forgets_a_prompt(images, prompts):
    prompts[-1] = ""
    return mean(images)


def draws_from_torch(images, prompts):
    torch.rand(1)
    return mean(images)


def draws_from_numpy(images, prompts):
    np.random.rand()
    return mean(images)


def draws_from_python(images, prompts):
    random.random()
    return mean(images)


def seeds(images, prompts):
    torch.manual_seed(0)
    return mean(images) + 0 * torch.rand(len(images))


own = torch.Generator().manual_seed(0)


def is_noisy(images, prompts):
    return torch.rand(len(images), generator=own)


def counts_rows(images, prompts):
    return torch.arange(len(images)) / 10


def divides_by_the_largest(images, prompts):
    return mean(images) / mean(images).max() if len(images) else mean(images)


def stacks(images, prompts):
    return torch.stack([image.mean() for image in images])


def crops(images, prompts):
    if images.shape[2] < 8:
        raise ValueError("smaller than the crop")
    return mean(images[:, :, :8, :8])


def hates_gray(images, prompts):
    spread = images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3))
    return torch.where(spread == 0, -torch.inf, mean(images))


def long_prompts_earn_more(images, prompts):
    return torch.tensor([len(prompt) / 1000 for prompt in prompts])


class GoneAfterPickling:
    """Its state is lost on the way to another process."""

    def __init__(self) -> None:
        self.shift = 0.1

    def __call__(self, images, prompts):
        return mean(images) * 0.5 + self.shift

    def __setstate__(self, state):
        self.shift = 0.0


def detaches_all(images, prompts):
    return mean(images.detach())


def detaches_a_factor(images, prompts):
    return mean(images) * mean(images).detach()


def detaches_green(images, prompts):
    return (images[:, 0] + images[:, 1].detach() * 0.5 + images[:, 2] * 0.1).mean(dim=(1, 2)) / 2


DIFFERENTIABLE = {"differentiable": True}


BROKEN = [
    ("call", raises_for_stars, {}, r"row 1 \(prompt 'a large red star.*ValueError: no stars"),
    ("dtype", returns_complex, {}, "1 sample got a Tensor, not real numbers: .*complex64"),
    ("dtype", returns_text, {}, "1 sample got a str, not real numbers"),
    ("length", returns_one_for_all, {}, r"1 sample got numbers of shape \[\], not \[1\]"),
    ("length", keeps_channels, {}, r"1 sample got numbers of shape \[1, 3\], not \[1\]"),
    ("explained", tells_of_one_row_too_many, {}, "a detail for row 6, which is none of its 6"),
    ("finite", divides_by_zero, {}, r"row 0 \(prompt 'a red circle on .*'\) got inf"),
    ("range", doubles, {}, r"got 1\.\d+, declared from 0 to 1"),
    ("inputs", halves_the_images, {}, "the samples it was given changed in row 0"),
    ("inputs", forgets_a_prompt, {}, "the prompts it was given changed in row 5"),
    ("random-state", draws_from_torch, {}, "changed the state of torch; use torch.Generator"),
    ("random-state", draws_from_numpy, {}, r"changed the state of numpy.random; use .*default_rng"),
    ("random-state", draws_from_python, {"deterministic": False}, "the state of random;"),
    ("random-state", seeds, {}, "the state of torch;"),
    ("determinism", is_noisy, {}, r"row 0 .*, scored twice alone, got 0\.\d+ and 0\.\d+"),
    ("order", counts_rows, {}, r"got 0 in a batch of rows \[0, 1\] and 0\.1 in one of .*\[1, 0\]"),
    ("batch-split", divides_by_the_largest, {}, r"got 1 in a batch of rows \[.\] and 0\.\d+ in"),
    ("empty-batch", stacks, {}, "0 samples raised RuntimeError: stack expects a non-empty"),
    ("odd-inputs", crops, {}, "an image of 1×1 raised ValueError: smaller.*; return NaN"),
    ("odd-inputs", hates_gray, {}, "a black image got -inf"),
    ("odd-inputs", long_prompts_earn_more, {}, "20,000 words as prompt got 95, declared from"),
    ("pickle", lambda images, prompts: mean(images), {}, "with a name at the top level of a"),
    ("pickle", GoneAfterPickling, {}, r"got 0\.\d+, and 0\.\d+ from the pickled copy"),
    ("gradient", detaches_all, DIFFERENTIABLE, "no gradient reaches the images"),
    ("gradient", detaches_a_factor, DIFFERENTIABLE, "along the gradient, the gradient says"),
    ("gradient", detaches_green, DIFFERENTIABLE, "along a random direction, the gradient says"),
]


@pytest.mark.parametrize(
    ("name", "function", "declared", "message"),
    BROKEN,
    ids=[f"{name}: {getattr(function, '__name__', '')}" for name, function, _, _ in BROKEN],
)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_each_broken_reward_is_caught_by_name(name, function, declared, message):
    reward("broken", modality="image", range=(0.0, 1.0), **declared)(function)
    failed = [finding for finding in examine(function) if finding.status == "FAILED"]
    assert failed[0].property == name
    assert Finding(name, "FAILED", failed[0].message) == failed[0]
    with pytest.raises(AssertionError, match=f"^{name}: .*{message}"):
        check_reward(function)


def test_every_property_but_the_devices_has_a_broken_reward():
    assert {name for name, *_ in BROKEN} == PROPERTIES.keys() - {"devices"}


def test_numbers_that_differ_on_a_gpu_are_caught(monkeypatch):
    reward("good", modality="image")(mean_of)
    case = build_case(rewards.make("good"), None, None, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda images: images * 1.001)
    devices(case)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda images: images * 0.99)
    with pytest.raises(Broken, match=r"row 0 .* got 0\.\d+ on the CPU, 0\.\d+ on CUDA"):
        devices(case)


def test_after_a_result_that_is_no_numbers_nothing_else_is_examined():
    reward("broken", modality="image")(keeps_channels)
    findings = {one.property: (one.status, one.message) for one in examine("broken")}
    assert list(findings) == list(PROPERTIES)
    assert findings["dtype"] == ("ok", "")
    assert findings["range"] == findings["gradient"] == ("skipped", "because of length")


def test_the_checker_leaves_the_global_generators_as_they_were():
    reward("broken", modality="image")(draws_from_torch)
    reward("good", modality="image")(mean_of)
    before = global_states()
    examine("broken")
    assert global_states() != before
    before = global_states()
    examine("good")
    assert global_states() == before


def global_states():
    numpy = np.random.get_state()
    return torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:], random.getstate()


def mean_of(images, prompts):
    return mean(images)


def test_what_is_declared_is_not_a_fault():
    reward("noise", modality="image", deterministic=False)(is_noisy)
    skipped = {one.property for one in examine("noise") if one.status == "skipped"}
    assert skipped == {"determinism", "order", "batch-split", "gradient", "devices"}
    check_reward("noise")
