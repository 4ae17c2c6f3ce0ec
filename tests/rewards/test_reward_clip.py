import copy
import json
import shutil
from dataclasses import replace

import open_clip
import pytest
import torch
from open_clip import CLIP
from safetensors.torch import save_file
from torchvision.transforms.functional import to_pil_image

import rewards
from rewards import RewardError
from rewards.image import clip


@pytest.fixture
def align(tiny_clip):
    return rewards.make("clip_alignment", model=str(tiny_clip))


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
    read = []
    tokenizer = reward.clip.tokenizer
    monkeypatch.setattr(
        reward, "clip", clip_with(reward, lambda texts: read.extend(texts) or tokenizer(texts))
    )
    first = reward(images, prompts)
    assert torch.equal(reward(images, prompts), first)
    assert sorted(read) == sorted(set(prompts))
    monkeypatch.setattr(clip, "CACHED_PROMPTS", 3)
    reward(images[:1], ["a new prompt"])
    assert list(reward._embeddings) == ["a new prompt"]


def clip_with(reward, tokenizer):
    return replace(reward.clip, tokenizer=tokenizer)


def test_gradients_flow_to_the_image_only_if_asked(align, tiny_clip, images, prompts):
    images = images.requires_grad_()
    assert not align(images, prompts).requires_grad
    make = rewards.make("clip_alignment", model=str(tiny_clip), differentiable=True, batch_size=3)
    make(images, prompts).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    model = make._function.clip.model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def test_an_installed_model_is_found_by_name(install, tiny_clip, images, prompts, align):
    source = (
        f"def folder():\n    return {str(tiny_clip)!r}\n\ndef broken():\n    raise OSError('x')\n"
    )
    places = {"tiny": "clip_plugin:folder", "bad": "clip_plugin:broken"}
    install("clip_plugin", source, places, "ddpo.clip_models")
    tiny = rewards.make("clip_alignment", model="tiny")
    assert torch.equal(tiny(images, prompts), align(images, prompts))
    with pytest.raises(RewardError, match="did you mean 'tiny'"):
        rewards.make("clip_alignment", model="tinny")
    with pytest.raises(RewardError, match=r"installed CLIP model 'bad' .*OSError: x"):
        rewards.make("clip_alignment", model="bad")


def test_a_tag_brings_its_weights_and_its_activation(tiny_clip, images, prompts, monkeypatch):
    """As for ViT-L-14 and openai: the architecture says GELU, the weights want QuickGELU."""
    from open_clip import factory, pretrained

    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    tag = {"url": "unused", "quick_gelu": True, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "Tiny", config)
    monkeypatch.setitem(pretrained._PRETRAINED, "Tiny", {"mine": tag})
    weights = str(tiny_clip / "open_clip_model.safetensors")
    monkeypatch.setattr(factory, "download_pretrained", lambda *_, **__: weights)
    tagged = rewards.make("clip_alignment", model="Tiny", pretrained="mine")
    images = images[:, :, :32, :32]
    seen = tagged._function.clip.model.encode_image(images)
    quick, exact = (
        open_clip.create_model("Tiny", weights, force_quick_gelu=quick).eval().encode_image(images)
        for quick in (True, False)
    )
    assert torch.allclose(seen, quick, atol=1e-5)
    assert not torch.allclose(seen, exact, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"model": "ViT-L14"}, "no CLIP model, and no folder, is called 'ViT-L14'; did you mean"),
        ({"pretrained": "opnai"}, "no pretrained weights 'opnai'; did you mean 'openai'?"),
        ({"pretrained": ""}, "no pretrained weights ''. Known: openai, "),
        ({"batch_size": 0}, "batch_size=0: Input should be greater"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(options, complaint):
    with pytest.raises(RewardError) as caught:
        rewards.make("clip_alignment", **options)
    assert complaint in str(caught.value)


def test_an_unreachable_hub_is_one_line(tmp_path):
    with pytest.raises(RewardError) as caught:
        rewards.make("clip_alignment", model="hf-hub:nobody/no-such-model")
    assert "cannot load the CLIP model 'hf-hub:nobody/no-such-model'" in str(caught.value)
    assert "installed model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_not_random_ones(tiny_clip, tmp_path):
    shutil.copy(tiny_clip / "open_clip_config.json", tmp_path)
    with pytest.raises(RewardError, match="cannot load the CLIP model"):
        rewards.make("clip_alignment", model=str(tmp_path))


def hub_tokenizer(folder, words):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<pad>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    fast.save_pretrained(folder)


def test_a_folder_may_bring_its_own_tokenizer_but_it_must_fit(tiny_clip, tmp_path, images, prompts):
    config = json.loads((tiny_clip / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"vocab_size": 12, "hf_tokenizer_name": "here"}
    torch.manual_seed(0)
    weights = CLIP(**copy.deepcopy(config["model_cfg"])).state_dict()
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    hub_tokenizer(tmp_path, ["a", "red", "blue", "green", "circle", "square", "two", "stars"])
    values = rewards.make("clip_alignment", model=str(tmp_path))(images[[0, 0, 1]], prompts[:3])
    assert values[0] != values[1]
    hub_tokenizer(tmp_path, [])
    with pytest.raises(RewardError, match="embeds 12 tokens but its tokenizer has 2"):
        rewards.make("clip_alignment", model=str(tmp_path))
