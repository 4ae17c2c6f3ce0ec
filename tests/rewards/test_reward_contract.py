"""The conformance test: each broken reward is caught by name, and every built-in reward passes."""

import json
import math
import random
import subprocess
import sys
import textwrap
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
import open_clip
import pytest
import torch
from fastapi import FastAPI
from safetensors.torch import save_file

import rewards
from rewards import RewardError, registry, reward
from rewards.testing import Finding, check_reward, examine
from rewards.testing.case import build_case
from rewards.testing.command import check, read_rows
from rewards.testing.devices import devices
from rewards.testing.examination import PROPERTIES
from rewards.testing.finding import Broken
from tests.support.preference_models import (
    TINY_HPS,
    tiny_hps,
    tiny_image_reward,
    tiny_pickscore,
)
from tests.support.reward_server import free_port, running, serving

# Options that make each built-in reward without a network; a name is that of a fixture below.
OPTIONS = {
    "aesthetic": "tiny_aesthetic",
    "bleu": {},
    "chrf": {},
    "classifier": "tiny_classifier",
    "clip_alignment": "tiny_alignment",
    "diversity": "tiny_alignment",
    "exact_match": {},
    "hps": "tiny_hps_model",
    "image_reward": "tiny_image_reward_model",
    "jpeg_compressibility": {},
    "jpeg_incompressibility": {},
    "length": {"target": 5},
    "pickscore": "tiny_pickscore_model",
    "regex": {"pattern": "circle"},
    "remote": "reward_server",
    "repetition": {},
    "rouge": {},
    "text_compressibility": {},
    "vlm_judge": "judge",
}


@pytest.fixture
def tiny_alignment(tiny_clip):
    return {"model": str(tiny_clip)}


@pytest.fixture
def tiny_aesthetic(tiny_clip, tmp_path):
    generator = torch.Generator().manual_seed(0)
    state = {}
    for layer, (wide, narrow) in zip((0, 2, 4, 6, 7), pairwise((16, 9, 8, 7, 6, 1)), strict=True):
        state[f"layers.{layer}.weight"] = torch.randn(narrow, wide, generator=generator)
        state[f"layers.{layer}.bias"] = torch.randn(narrow, generator=generator)
    save_file(state, tmp_path / "head.safetensors")
    return {"model": str(tiny_clip), "head": str(tmp_path / "head.safetensors")}


@pytest.fixture
def tiny_classifier(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "##a", "##b", "circle", "red"]
    BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    return {"model": str(tmp_path), "label": 1}


@pytest.fixture
def tiny_hps_model(tmp_path, monkeypatch):
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Tiny-HPS", deepcopy(TINY_HPS))
    return {"checkpoint": str(tiny_hps(tmp_path / "hps.pt")), "architecture": "Tiny-HPS"}


@pytest.fixture
def tiny_image_reward_model(tmp_path):
    checkpoint, tokenizer = tiny_image_reward(tmp_path)
    return {"checkpoint": str(checkpoint), "tokenizer": str(tokenizer)}


@pytest.fixture
def tiny_pickscore_model(tmp_path):
    folder = str(tiny_pickscore(tmp_path))
    return {"model": folder, "processor": folder}


@pytest.fixture
def reward_server():
    with serving(rewards.make("jpeg_compressibility")) as url:
        yield {"url": url, "name": "jpeg_compressibility"}


@pytest.fixture
def judge():
    """A service of a model that gives every picture seven of ten points."""
    app = FastAPI()
    answer = {"choices": [{"message": {"role": "assistant", "content": "7"}}]}
    app.post("/chat/completions")(lambda: answer)
    port = free_port()
    with running(app, port) as url:
        yield {"model": "seven", "base_url": url}


def test_no_built_in_reward_is_left_out():
    assert OPTIONS.keys() == registry.BUILT_IN.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_built_in_reward_keeps_the_contract(name, request):
    options = OPTIONS[name]
    check_reward(
        name, options=request.getfixturevalue(options) if isinstance(options, str) else options
    )


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


class Brightness:
    """Gradients are an option here, and off unless it is given."""

    def __init__(self, differentiable: bool = False) -> None:
        self.differentiable = differentiable

    def __call__(self, images, prompts):
        with torch.set_grad_enabled(self.differentiable):
            return mean(images) ** 2


def refined(made, definition):
    return replace(definition, differentiable=made.differentiable)


def test_gradients_that_are_an_option_are_switched_on():
    reward("brightness", modality="image", refine=refined)(Brightness)
    assert not rewards.make("brightness").definition.differentiable
    assert Finding("gradient", "ok") in examine("brightness")


def shortest_of_prompt(texts, prompts):
    return [
        float(len(text) == min(len(t) for t, p in zip(texts, prompts, strict=True) if p == prompt))
        for text, prompt in zip(texts, prompts, strict=True)
    ]


def shortest_of_batch(texts, prompts):
    return [float(len(text) == min(map(len, texts))) for text in texts]


def test_a_group_reward_depends_on_its_group_and_on_nothing_else():
    reward("shortest", modality="text", group=True)(shortest_of_prompt)
    check_reward("shortest")
    reward("broken", modality="text", group=True)(shortest_of_batch)
    with pytest.raises(
        AssertionError,
        match=r"^batch-split: row 2 .* got 1 in a batch of rows \[0, 2\] and 0 in .* \[0, 2, 4\]",
    ):
        check_reward("broken")


def first_test(texts, prompts, tests):
    return [float(test.pop()) for test in tests]


def test_columns_may_be_given_and_must_not_be_changed():
    reward("first_test", modality="text", columns=("tests",))(first_test)
    with pytest.raises(AssertionError, match=r"needs the column 'tests'.*give columns=.*--columns"):
        check_reward("first_test")
    with pytest.raises(AssertionError, match=r"^inputs: the column 'tests' .* changed in row 0"):
        check_reward("first_test", columns={"tests": [[1, 2] for _ in range(3)]})


def agrees(texts, prompts, reference):
    return [float(text == wanted) for text, wanted in zip(texts, reference, strict=True)]


def test_a_reference_is_made_up():
    reward("agrees", modality="text", columns=("reference",), range=(0.0, 1.0))(agrees)
    check_reward("agrees")


def test_only_rewards_are_checked():
    with pytest.raises(AssertionError, match="is not a reward: decorate it"):
        check_reward(math.sqrt)
    check_reward(rewards.make("jpeg_compressibility", quality=10))


def knows_circles(images, prompts):
    return [0.5 if "circle" in prompt else math.nan for prompt in prompts]


def test_samples_that_cannot_be_scored_are_replaced_by_some_that_can():
    reward("circles", modality="image")(knows_circles)
    with pytest.raises(AssertionError, match=r"^finite: row 1 .* got nan; if .* give the check"):
        check_reward("circles")
    check_reward("circles", prompts=["a circle", "two circles"])


def test_any_modality_is_examined_with_the_samples_given_or_images():
    seen = []

    def sees(samples, prompts):
        seen.append(type(samples))
        return [0.0] * len(samples)

    reward("sees", modality="any")(sees)
    examine("sees")
    assert set(seen) == {torch.Tensor}
    seen.clear()
    examine("sees", samples=["one", "two"])
    assert set(seen) == {list}


# What `python -m rewards check` prints.


def shouts(texts, prompts, *, loud: Literal["yes", "no"] = "yes"):
    return [2.0 if loud == "yes" else 1.0 for _ in texts]


def test_the_command_prints_a_line_for_each_property_and_fails_with_1():
    reward("shouts", modality="text", range=(0.0, 1.0))(shouts)
    text, status = check("shouts", {"loud": "no"})
    assert status == 0
    assert text.splitlines()[0] == "ok       call"
    assert text.splitlines()[-2:] == [
        "skipped  devices       texts are on no device",
        "shouts keeps the contract",
    ]
    text, status = check("shouts")
    assert status == 1
    assert text.splitlines()[4] == (
        "FAILED   range         row 0 (prompt 'a red circle on a gray background', text "
        "'A red circle lies on a gray table.') got 2, declared from 0 to 1"
    )
    assert text.splitlines()[-1] == "shouts breaks the contract: range, odd-inputs"


def test_a_file_gives_the_command_its_columns(tmp_path):
    reward("first_test", modality="text", columns=("tests",))(first_test)
    path = tmp_path / "rows.jsonl"
    rows = [
        {"prompt": "one", "text": "1", "tests": [1]},
        {"prompt": "two", "text": "2", "tests": [2, 3]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert read_rows(path) == {
        "prompts": ["one", "two"],
        "samples": ["1", "2"],
        "columns": {"tests": [[1], [2, 3]]},
    }
    text, status = check("first_test", columns=path)
    assert (status, "FAILED   inputs" in text) == (1, True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "Expecting value"),
        ('{"text": "a"}', "is not an object with a"),
        ("", "its lines, at least one"),
        ('{"prompt": "a"}\n{"prompt": "b", "text": "c"}', "must all have the same keys"),
    ],
)
def test_a_bad_file_is_named(content, complaint, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(RewardError, match=rf"rows\.jsonl.*{complaint}"):
        read_rows(path)


def test_checking_a_text_reward_imports_no_tensor_library():
    code = """
        import sys
        from rewards.testing.command import check
        text, status = check("exact_match")
        assert status == 0, text
        assert not {"torch", "transformers"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
