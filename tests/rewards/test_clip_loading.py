"""Where a CLIP comes from: a folder, an installed model, a tag of open_clip, a hub."""

import copy
import json
import shutil

import open_clip
import pytest
import torch
from open_clip import CLIP
from safetensors.torch import save_file

import rewards
from rewards import RewardError


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
    seen = tagged.function.clip.model.encode_image(images)
    quick, exact = (
        open_clip.create_model("Tiny", weights, force_quick_gelu=quick).eval().encode_image(images)
        for quick in (True, False)
    )
    assert torch.allclose(seen, quick, atol=1e-5)
    assert not torch.allclose(seen, exact, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"model": "ViT-L14"},
            "'clip_alignment': model='ViT-L14' is no CLIP model, and no folder; did you",
        ),
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
    assert "(not on this machine, and the hub cannot be reached)" in str(caught.value)
    assert str(caught.value).endswith("or an installed model: shapes")
    assert "\n" not in str(caught.value)


def test_weights_out_of_reach_are_one_line_of_200_characters_and_no_log(caplog):
    with pytest.raises(RewardError) as caught:
        rewards.make("clip_alignment")
    assert "'ViT-L-14' with weights 'openai' (not on this machine" in str(caught.value)
    assert len(str(caught.value)) < 210
    assert not caplog.records


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
    with pytest.raises(RewardError, match=r"'clip_alignment': .* the tokenizer of '.*' has 2:"):
        rewards.make("clip_alignment", model=str(tmp_path))
