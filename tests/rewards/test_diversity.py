import math
import pickle
from dataclasses import replace

import pytest
import torch

import rewards
from rewards import RewardError
from rewards.image.diversity import mean_distance_to_others
from rewards.testing import check_reward

NAN = math.nan


@pytest.fixture
def clip_diversity(tiny_clip):
    return rewards.make("diversity", model=str(tiny_clip))


@pytest.fixture
def pixel_diversity():
    return rewards.make("diversity", embedding="pixels")


def grey(*levels, size=(5, 7)):
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, *size).clone()


def embedding_as(made, vectors):
    """A CLIP that answers with these vectors."""

    class Known:
        network = made.function.clip.network

        def embed_images(self, images, batch_size):
            return torch.tensor(vectors)

    return Known()


def test_three_vectors_by_hand(clip_diversity, monkeypatch):
    """Cosines: 0 of the first two, 0.6 and 0.8 with the third; so distances 1, 0.4 and 0.2."""
    known = embedding_as(clip_diversity, [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    monkeypatch.setattr(clip_diversity.function, "clip", known)
    values = clip_diversity(torch.rand(3, 3, 4, 4), ["a"] * 3)
    assert values.tolist() == pytest.approx([0.7, 0.6, 0.3])
    pairs = [1, 0.4, 0.2]
    assert values.mean().item() == pytest.approx(sum(pairs) / 3)
    alone = clip_diversity.score(torch.rand(3, 3, 4, 4), ["a", "b", "a"])
    assert alone.values.tolist() == pytest.approx([0.4, NAN, 0.4], nan_ok=True)
    assert [failure.row for failure in alone.failures] == [1]


def test_rounding_does_not_leave_the_range(clip_diversity, monkeypatch):
    known = embedding_as(clip_diversity, [[1.0001, 0.0], [1.0001, 0.0]])
    monkeypatch.setattr(clip_diversity.function, "clip", known)
    assert clip_diversity(torch.rand(2, 3, 4, 4), ["a", "a"]).tolist() == [0, 0]


def test_groups_may_be_interleaved():
    distances = torch.tensor(
        [
            [0.0, 9.0, 0.2, 9.0, 0.4],
            [9.0, 0.0, 9.0, 0.1, 9.0],
            [0.2, 9.0, 0.0, 9.0, 0.6],
            [9.0, 0.1, 9.0, 0.0, 9.0],
            [0.4, 9.0, 0.6, 9.0, 0.0],
        ]
    )
    values = mean_distance_to_others(distances, ["x", "y", "x", "y", "x"])
    assert values.tolist() == pytest.approx([0.3, 0.1, 0.4, 0.1, 0.5])


def test_pixels_by_hand(pixel_diversity):
    values = pixel_diversity(grey(0.0, 1.0, 0.25), ["a"] * 3)
    assert values.tolist() == pytest.approx([0.625, 0.875, 0.5])
    half = grey(0.0, 0.0, size=(64, 64))
    half[1, 0, :, :32] = 1  # a sixth of all numbers
    assert pixel_diversity(half, ["a"] * 2).tolist() == pytest.approx([1 / 6] * 2)


def test_the_embedding_is_open_clips(clip_diversity, tiny_clip, images):
    import open_clip

    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{tiny_clip}")
    fitting = images[:, :, :32, :32]
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    seen = model.encode_image((fitting - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    apart = [1 - torch.cosine_similarity(seen[:1], seen[i : i + 1]).item() for i in (1, 2, 3)]
    value = clip_diversity(fitting, ["a"] * 4)[0].item()
    assert value == pytest.approx(sum(apart) / 3, abs=1e-5)


def test_the_same_image_twice_is_no_diversity(clip_diversity, pixel_diversity, images):
    twice = images[[0, 0]]
    for made in (clip_diversity, pixel_diversity):
        values = made(twice, ["a"] * 2)
        assert (values >= 0).all()
        assert values.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_the_contract(tiny_clip):
    prompts = ["a", "b", "a", "b", "a"]
    check_reward("diversity", options={"model": str(tiny_clip)}, prompts=prompts)
    check_reward("diversity", options={"embedding": "pixels"}, prompts=prompts)


def test_numbers_do_not_depend_on_batch_size_or_order(clip_diversity, tiny_clip, images):
    prompts = ["a", "b", "a", "b"]
    values = clip_diversity(images, prompts)
    small = rewards.make("diversity", model=str(tiny_clip), batch_size=1)
    assert torch.allclose(small(images, prompts), values, atol=1e-6)
    turned = clip_diversity(images.flip(0), prompts[::-1]).flip(0)
    assert torch.allclose(turned, values, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1024, 1024), (3, 50)])
def test_any_size_and_no_images(clip_diversity, pixel_diversity, size):
    for made in (clip_diversity, pixel_diversity):
        assert made(grey(0.2, 0.9, size=size), ["a", "a"]).isfinite().all()
        assert made.function(torch.zeros(0, 3, *size), []).shape == (0,)


def test_pixels_need_no_model_and_declare_their_own_range(clip_diversity, pixel_diversity):
    assert pixel_diversity.definition.range == (0, 1)
    assert pixel_diversity.definition.weights == ()
    assert clip_diversity.definition.range == (0, 2)
    assert clip_diversity.definition.group
    with pytest.raises(RewardError, match="embedding='colour'"):
        rewards.make("diversity", embedding="colour")


@pytest.mark.parametrize("embedding", ["clip", "pixels"])
def test_gradients_are_finite_and_flow_only_if_asked(tiny_clip, images, embedding):
    options = {"embedding": embedding, "model": str(tiny_clip)}
    images = images.requires_grad_()
    prompts = ["a", "b", "a", "c"]
    plain = rewards.make("diversity", **options)
    assert not plain.definition.differentiable
    assert not plain.function(images, prompts).requires_grad
    made = rewards.make("diversity", **options, differentiable=True)
    assert made.definition.differentiable
    made.function(images, prompts)[[0, 2]].sum().backward()
    assert images.grad.isfinite().all()
    assert (images.grad.flatten(1).norm(dim=1) > 0).tolist() == [True, False, True, False]


@pytest.mark.parametrize("embedding", ["clip", "pixels"])
def test_the_gradient_is_the_slope(tiny_clip, images, embedding):
    made = rewards.make(
        "diversity", embedding=embedding, model=str(tiny_clip), differentiable=True
    ).function
    images = images[:, :, :32, :32].clone().requires_grad_()
    share = torch.tensor([1.0, 2.0, 3.0, 4.0])
    (made(images, ["a"] * 4) * share).sum().backward()
    for pixel in [(0, 0, 3, 4), (1, 2, 17, 30), (3, 1, 9, 9)]:
        nudge = torch.zeros_like(images)
        nudge[pixel] = 0.02
        with torch.no_grad():
            rise = made(images + nudge, ["a"] * 4) - made(images - nudge, ["a"] * 4)
        slope = (rise * share).sum().item() / 0.04
        assert slope == pytest.approx(images.grad[pixel].item(), rel=0.02, abs=5e-5)


def test_it_survives_pickling(clip_diversity, pixel_diversity, images):
    for made in (clip_diversity, pixel_diversity):
        again = pickle.loads(pickle.dumps(made))
        assert torch.equal(again(images, ["a"] * 4), made(images, ["a"] * 4))
        assert replace(again.definition) == made.definition
