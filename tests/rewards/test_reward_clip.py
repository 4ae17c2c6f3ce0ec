"""`clip_alignment`: its numbers, its options and its gradients, with a tiny CLIP."""

import pickle
from dataclasses import replace

import open_clip
import pytest
import torch
from torchvision.transforms.functional import to_pil_image

import rewards
from rewards import RewardError
from rewards.image import clip
from rewards.prompt_cache import PromptCache
from rewards.testing import check_reward


def by_hand(folder, images, prompts):
    """Cosines through open_clip's own preprocessing of PIL images, one pair at a time."""
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    cosines = []
    for image, prompt in zip(images, prompts, strict=True):
        seen = model.encode_image(preprocess(to_pil_image(image)).unsqueeze(0))
        read = model.encode_text(tokenizer([prompt]))
        cosines.append(torch.cosine_similarity(seen, read).item())
    return cosines


def test_the_value_is_the_cosine_of_open_clips_embeddings(align, tiny_clip, images, prompts):
    images = (images * 255).round() / 255
    fitting = images[:, :, :32, :32]
    assert align(fitting, prompts).tolist() == pytest.approx(
        by_hand(tiny_clip, fitting, prompts), abs=1e-5
    )
    # PIL rounds a resized image to whole pixel values.
    assert align(images, prompts).tolist() == pytest.approx(
        by_hand(tiny_clip, images, prompts), abs=5e-3
    )


def test_resizing_is_antialiased(align, tiny_clip):
    stripes = torch.zeros(1, 3, 96, 96)
    stripes[..., ::3] = 1
    assert align(stripes, ["a red circle"]).tolist() == pytest.approx(
        by_hand(tiny_clip, stripes, ["a red circle"]), abs=5e-3
    )


def test_resizing_does_not_leave_the_range_of_pixels(tiny_clip, images, monkeypatch):
    reward = clip.ClipAlignment(str(tiny_clip))
    seen = []
    normalise = reward.clip.normalise
    spy = replace(reward.clip, normalise=lambda pixels: normalise(seen.append(pixels) or pixels))
    monkeypatch.setattr(reward, "clip", spy)
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    reward(edge, ["an edge, which bicubic interpolation overshoots"])
    assert seen[0].aminmax() == (0.0, 1.0)


def test_numbers_do_not_depend_on_the_batch_size(align, tiny_clip, images, prompts):
    small = rewards.make("clip_alignment", model=f"local-dir:{tiny_clip}", batch_size="3")
    assert torch.allclose(small(images, prompts), align(images, prompts), atol=1e-6)


def test_a_prompt_is_embedded_once(tiny_clip, images, prompts, monkeypatch):
    reward = clip.ClipAlignment(str(tiny_clip), batch_size=2)
    read = texts_read(reward, monkeypatch)
    first = reward(images, prompts)
    assert torch.equal(reward(images, prompts), first)
    assert sorted(read) == sorted(set(prompts))


def test_a_statement_is_embedded_once_in_each_template(tiny_clip, images, monkeypatch):
    reward = clip.ClipAlignment(str(tiny_clip), separator=";", templates=("a {}", "the {}"))
    read = texts_read(reward, monkeypatch)
    reward(images[:2], ["cat; dog", "dog"])
    reward(images[:1], ["dog; cow"])
    assert read == ["a cat", "the cat", "a dog", "the dog", "a cow", "the cow"]


def texts_read(reward, monkeypatch):
    """A list to which every text is added that the network reads from now on."""
    read, tokenizer = [], reward.clip.tokenizer
    spy = replace(reward.clip, tokenizer=lambda texts: read.extend(texts) or tokenizer(texts))
    monkeypatch.setattr(reward, "clip", spy)
    return read


def test_gradients_flow_to_the_image_only_if_asked(align, tiny_clip, images, prompts):
    images = images.requires_grad_()
    assert not align.function(images, prompts).requires_grad
    make = rewards.make("clip_alignment", model=str(tiny_clip), differentiable=True, batch_size=3)
    make(images, prompts).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    model = make.function.clip.model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def read_by_hand(folder, texts):
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    vectors = torch.cat([model.encode_text(tokenizer([text])) for text in texts])
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_templates_are_averaged_on_the_sphere(tiny_clip, images):
    made = rewards.make(
        "clip_alignment", model=str(tiny_clip), templates=["a photo of {}.", "{}, drawn by {}"]
    )
    with torch.no_grad():
        read = read_by_hand(tiny_clip, ["a photo of a {cat}.", "a {cat}, drawn by a {cat}"])
        seen = made.function.clip.embed_images(images[:1], 1)
    mean = (read[0] + read[1]) / 2
    expected = (seen[0] @ mean / mean.norm()).item()
    together = made(images[[0, 1]], ["a {cat}", "a dog"])
    assert together[0].item() == pytest.approx(expected, abs=1e-6)
    single = rewards.make("clip_alignment", model=str(tiny_clip), templates=["a photo of {}."])
    assert single(images[:1], ["a {cat}"]).item() == pytest.approx(
        (seen[0] @ read[0]).item(), abs=1e-6
    )


def test_statements_are_averaged_or_the_least_counts(align, tiny_clip, images):
    parts = ["a red circle", "a blue square", "two stars"]
    alone = align(images[[0, 0, 0, 1]], [*parts, "two stars"]).tolist()
    prompts = ["a red circle; a blue square ; ; two stars", "two stars"]
    for combine, expected in (("mean", sum(alone[:3]) / 3), ("min", min(alone[:3]))):
        made = rewards.make("clip_alignment", model=str(tiny_clip), separator=";", combine=combine)
        values = made(images[:2], prompts).tolist()
        assert values == pytest.approx([expected, alone[3]], abs=1e-6)
        assert made(images[:1], [""]).isfinite().all()
        assert made(images[:1], [" ; "]).isfinite().all()
    assert abs(sum(alone[:3]) / 3 - min(alone[:3])) > 1e-3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"templates": ["a photo"]}, "template 'a photo' has no place for the prompt; write {}"),
        ({"templates": []}, "templates=[]: "),
        ({"separator": ""}, "separator='': "),
        ({"combine": "max"}, "combine='max': "),
        ({"precision": "fp8"}, "precision='fp8': "),
        ({"differentiable": True, "offload": True}, "differentiable=True needs offload=False"),
    ],
)
def test_a_bad_option_is_named(tiny_clip, options, complaint):
    with pytest.raises(RewardError) as caught:
        rewards.make("clip_alignment", model=str(tiny_clip), **options)
    assert complaint in str(caught.value)


def test_the_contract(tiny_clip):
    check_reward("clip_alignment", options={"model": str(tiny_clip)})
    check_reward("clip_alignment", options={"model": str(tiny_clip), "separator": " "})


@pytest.mark.parametrize(("precision", "within"), [("bf16", 0.02), ("fp16", 0.002)])
def test_a_lower_precision_is_close(align, tiny_clip, images, prompts, precision, within):
    made = rewards.make("clip_alignment", model=str(tiny_clip), precision=precision)
    values, exact = made(images, prompts), align(images, prompts)
    assert values.dtype == torch.float32
    assert torch.allclose(values, exact, atol=within)
    assert not torch.equal(values, exact)


@pytest.mark.parametrize("size", [(1, 1), (1024, 1024)])
def test_any_size_and_no_images(align, size):
    grey = torch.full((2, 3, *size), 0.5)
    assert align(grey, ["a", "b"]).isfinite().all()
    assert align.function(grey[:0], []).shape == (0,)


def test_the_gradient_is_the_slope(tiny_clip, images, prompts):
    made = rewards.make(
        "clip_alignment", model=str(tiny_clip), differentiable=True, separator=" ", combine="min"
    )
    assert made.definition.differentiable
    images = images[:, :, :32, :32].clone().requires_grad_()
    made(images, prompts).sum().backward()
    for pixel in [(0, 0, 3, 4), (1, 2, 17, 30), (3, 1, 9, 9)]:
        nudge = torch.zeros_like(images)
        nudge[pixel] = 0.1
        with torch.no_grad():
            rise = made.function(images + nudge, prompts) - made.function(images - nudge, prompts)
        slope = rise.sum().item() / 0.2
        assert slope == pytest.approx(images.grad[pixel].item(), rel=0.02, abs=1e-5)


def test_the_network_is_on_the_device_only_while_it_is_used(align, tiny_clip, images, prompts):
    made = rewards.make("clip_alignment", model=str(tiny_clip), offload=True)
    assert torch.equal(made(images, prompts), align(images, prompts))
    moves = []
    module = made.function.clip.model
    module.to = lambda device: moves.append(str(device)) or module
    made(images, prompts)
    assert moves == ["cpu", "cpu"]


def test_neither_remembered_nor_forgotten_prompts_change_the_numbers(
    tiny_clip, images, monkeypatch
):
    reward = clip.ClipAlignment(str(tiny_clip), batch_size=1)
    read = texts_read(reward, monkeypatch)
    monkeypatch.setattr(reward, "cache", PromptCache(batch_size=1, capacity=3))
    prompts = ["a", "b", "c", "a"]
    first = reward(images, prompts)
    assert torch.equal(reward(images, prompts), first)
    reward(images[:2], ["a", "d"])
    assert torch.equal(reward(images, prompts), first)
    assert len(read) > len({"a", "b", "c", "d"})


def test_it_survives_pickling(align, images, prompts):
    before = align(images, prompts)
    again = pickle.loads(pickle.dumps(align))
    assert torch.equal(again(images, [*prompts[:3], "a new one"])[:3], before[:3])
