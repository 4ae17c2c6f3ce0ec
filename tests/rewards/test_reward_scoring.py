import logging
import math

import numpy as np
import pytest
import torch

import rewards
from rewards import Explained, RewardError, UnavailableError, reward
from rewards.testing import examine

TEXTS = ["good", "bad", "fine"]
PROMPTS = ["first prompt", "second prompt", "third prompt"]


def made(function, name="fake", **declared):
    reward(name, **{"modality": "text", **declared})(function)
    return rewards.make(name)


@pytest.mark.parametrize(
    "result",
    [
        [1, 2, 3],
        np.array([1, 2, 3]),
        torch.tensor([1, 2, 3]),
        torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64),
    ],
    ids=["list", "numpy", "int64", "float64"],
)
def test_every_kind_of_result_becomes_float32(result):
    values = made(lambda texts, prompts: result)(TEXTS, PROMPTS)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float32
    assert values.tolist() == [1.0, 2.0, 3.0]
    pictures = made(lambda images, prompts: result, name="shown", modality="image")
    tensor = pictures(torch.zeros(3, 3, 2, 2), PROMPTS)
    assert (tensor.dtype, tensor.tolist()) == (torch.float32, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ([1.0, 2.0], r"shape \[2\] for 3 samples"),
        (torch.zeros(3, 1), r"shape \[3, 1\] for 3 samples"),
        (0.5, r"shape \[\] for 3 samples"),
        (None, "a NoneType that is not 3 real numbers"),
        ("abc", "a str, not 3 numbers"),
        ({"a": 1}, "a dict, not 3 numbers"),
        ([1.0, None, 2.0], "a list that is not 3 real numbers"),
        (torch.zeros(3, dtype=torch.complex64), "complex64 is not a real number"),
    ],
)
def test_a_malformed_result_names_the_reward_and_the_prompt(result, complaint):
    with pytest.raises(RewardError, match=rf"'fake' \(first prompt 'first prompt'\).*{complaint}"):
        made(lambda texts, prompts: result).score(TEXTS, PROMPTS)


def fails_on_bad(texts, prompts):
    if "bad" in texts:
        raise ValueError("cannot read this\nand more")
    return [float(len(text)) for text in texts]


def test_a_row_that_raises_is_a_failure_and_the_others_are_scored():
    scored = made(fails_on_bad).score(TEXTS, PROMPTS)
    assert scored.values[[0, 2]].tolist() == [4.0, 4.0]
    assert math.isnan(scored.values[1].item())
    assert [str(failure) for failure in scored.failures] == [
        "reward 'fake', sample 1, prompt 'second prompt': ValueError: cannot read this"
    ]


def test_calling_raises_and_names_the_reward_and_the_prompt():
    with pytest.raises(RewardError, match=r"^reward 'fake', sample 1, prompt 'second prompt': Val"):
        made(fails_on_bad)(TEXTS, PROMPTS)


def test_a_group_reward_that_raises_fails_for_the_whole_group():
    scored = made(fails_on_bad, group=True).score(TEXTS, PROMPTS)
    assert np.isnan(scored.values).all()
    assert [failure.row for failure in scored.failures] == [0, 1, 2]


def test_a_reward_that_is_unavailable_is_not_asked_again_for_each_sample():
    calls = []

    def gone(texts, prompts):
        calls.append(len(texts))
        raise UnavailableError("the server is gone: start it")

    scored = made(gone).score(TEXTS, PROMPTS)
    assert calls == [3]
    assert [failure.reason for failure in scored.failures] == ["the server is gone: start it"] * 3


def test_what_fails_only_as_a_batch_is_logged(caplog):
    def one_at_a_time(texts, prompts):
        if len(texts) > 1:
            raise ValueError("too many")
        return [1.0]

    with caplog.at_level(logging.WARNING):
        assert made(one_at_a_time)(TEXTS, PROMPTS).tolist() == [1.0, 1.0, 1.0]
    assert "'fake' failed on a batch of 3 but scored each sample alone: ValueError" in caplog.text


@pytest.mark.parametrize("error", [MemoryError("full"), torch.OutOfMemoryError("full")])
def test_memory_that_runs_out_halves_the_batch_from_then_on(error, caplog):
    sizes = []

    def fits_three(texts, prompts):
        sizes.append(len(texts))
        if len(texts) > 3:
            raise error
        return [float(len(text)) for text in texts]

    hungry = made(fits_three)
    texts = [str(number) * number for number in range(1, 12)]
    with caplog.at_level(logging.WARNING):
        assert hungry(texts, texts).tolist() == [float(len(text)) for text in texts]
    assert sizes == [11, 5, 2, 2, 1, 2, 2, 1, 1]
    assert "ran out of memory on 5 samples: scoring 2 at once" in caplog.text
    sizes.clear()
    hungry(texts, texts)
    assert sizes == [2, 2, 2, 2, 2, 1]


def test_memory_that_does_not_hold_one_sample_is_a_failure():
    def never(texts, prompts):
        raise MemoryError("full")

    scored = made(never).score(TEXTS, PROMPTS)
    assert [failure.reason for failure in scored.failures] == ["MemoryError: full"] * 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_missing_and_reported(value):
    scored = made(lambda texts, prompts: [1.0, value, 2.0]).score(TEXTS, PROMPTS)
    assert math.isnan(scored.values[1].item())
    (failure,) = scored.failures
    assert (failure.row, failure.prompt, failure.reason) == (1, PROMPTS[1], f"returned {value}")


def test_a_reward_says_why_it_has_no_number():
    def choosy(texts, prompts):
        known = [math.nan if text == "bad" else 1.0 for text in texts]
        why = {row: f"{text} is spam" for row, text in enumerate(texts) if text == "bad"}
        return Explained([*known[:-1], math.nan], why)

    scored = made(choosy).score(["good", "bad", "fine"], PROMPTS)
    assert scored.values[0] == 1.0
    assert np.isnan(scored.values[1:]).all()
    reasons = [(failure.row, failure.reason) for failure in scored.failures]
    assert reasons == [(1, "bad is spam"), (2, "returned nan")]


def test_the_conformance_test_reads_numbers_that_come_explained():
    findings = examine(made(lambda texts, prompts: Explained([1.0] * len(texts), {}), "always"))
    found = {finding.property: finding.status for finding in findings}
    assert {found[name] for name in ("call", "dtype", "length", "finite", "empty-batch")} == {"ok"}


def test_a_reason_is_not_taken_beside_a_number():
    with pytest.raises(RewardError, match=r"'fake'.*a reason for row 1, which is not NaN: why"):
        made(lambda texts, prompts: Explained([1.0] * 3, {1: "why"})).score(TEXTS, PROMPTS)


def test_columns_are_passed_if_declared_and_missed_by_name():
    def overlap(texts, prompts, reference):
        return [float(text == other) for text, other in zip(texts, reference, strict=True)]

    compare = made(overlap, columns=("reference",))
    columns = {"reference": ["good", "x", "fine"], "unused": [1, 2, 3]}
    assert compare.score(TEXTS, PROMPTS, columns).values.tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(RewardError, match="'fake' needs the column 'reference'"):
        compare(TEXTS, PROMPTS)
    with pytest.raises(RewardError, match="'reference' has 1 values for 3 samples"):
        compare(TEXTS, PROMPTS, reference=["good"])


@pytest.mark.parametrize(
    ("modality", "samples", "complaint"),
    [
        ("image", torch.zeros(3, 8, 8), r"images \[B, 3, H, W\], not \[3, 8, 8\]"),
        ("image", TEXTS, "not list"),
        ("image", torch.zeros(3, 3, 8, 8, dtype=torch.uint8), r"not torch\.uint8"),
        ("image", torch.full((3, 3, 8, 8), -1.0), r"not in \[-1, -1\]"),
        ("image", torch.zeros(3, 3, 0, 8), r"with pixels, not \[3, 3, 0, 8\]"),
        ("image", torch.zeros(2, 3, 8, 8), "2 samples and 3 prompts"),
        ("text", "abc", "list of texts, not a str"),
        ("text", [1, 2, 3], "one is a int"),
    ],
)
def test_malformed_samples_are_refused(modality, samples, complaint):
    with pytest.raises(RewardError, match=complaint):
        made(lambda samples, prompts: [0.0] * 3, modality=modality)(samples, PROMPTS)


def test_an_image_that_is_not_finite_earns_nothing():
    images = torch.rand(3, 3, 8, 8)
    images[1, 0, 0, 0], images[2, 0, 0, 0] = math.nan, math.inf
    scored = rewards.make("jpeg_compressibility").score(images, PROMPTS)
    assert scored.values.isnan().tolist() == [False, True, True]
    assert {failure.reason for failure in scored.failures} == {"the image is not finite"}


def test_a_failure_names_its_row_when_others_were_left_out():
    def dark(images, prompts):
        if "third prompt" in prompts:
            raise ValueError("third")
        return images.mean(dim=(1, 2, 3))

    images = torch.zeros(3, 3, 8, 8)
    images[0] = math.nan
    scored = made(dark, modality="image").score(images, PROMPTS)
    assert [(failure.row, failure.prompt) for failure in scored.failures] == [
        (0, "first prompt"),
        (2, "third prompt"),
    ]
    assert scored.values[1].item() == 0.0


def test_an_empty_batch_scores_nothing():
    assert rewards.make("jpeg_compressibility")(torch.zeros(0, 3, 8, 8), []).shape == (0,)


def test_a_gradient_is_kept_only_if_declared():
    images = torch.rand(3, 3, 8, 8, requires_grad=True)

    def mean(images, prompts):
        return images.mean(dim=(1, 2, 3))

    kept = made(mean, "kept", modality="image", differentiable=True)(images, PROMPTS)
    kept.sum().backward()
    assert images.grad is not None
    assert images.grad.unique().tolist() == pytest.approx([1 / 192])
    assert not made(mean, "cut", modality="image")(images, PROMPTS).requires_grad
