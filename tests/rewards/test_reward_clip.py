import copy
import itertools
import json
import pickle
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
from rewards.testing import check_reward


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
    assert not align.function(images, prompts).requires_grad
    make = rewards.make("clip_alignment", model=str(tiny_clip), differentiable=True, batch_size=3)
    make(images, prompts).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    model = make.function.clip.model
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


# The same layers under the names of open_clip and of transformers. A matrix that open_clip
# multiplies from the right is transposed; one of its matrices may be several of transformers'.
TOP = [
    ("token_embedding.weight", ["text_model.embeddings.token_embedding.weight"]),
    ("positional_embedding", ["text_model.embeddings.position_embedding.weight"]),
    ("ln_final.weight", ["text_model.final_layer_norm.weight"]),
    ("ln_final.bias", ["text_model.final_layer_norm.bias"]),
    ("text_projection", ["text_projection.weight"]),
    ("visual.class_embedding", ["vision_model.embeddings.class_embedding"]),
    ("visual.conv1.weight", ["vision_model.embeddings.patch_embedding.weight"]),
    ("visual.positional_embedding", ["vision_model.embeddings.position_embedding.weight"]),
    ("visual.ln_pre.weight", ["vision_model.pre_layrnorm.weight"]),
    ("visual.ln_pre.bias", ["vision_model.pre_layrnorm.bias"]),
    ("visual.ln_post.weight", ["vision_model.post_layernorm.weight"]),
    ("visual.ln_post.bias", ["vision_model.post_layernorm.bias"]),
    ("visual.proj", ["visual_projection.weight"]),
    ("logit_scale", ["logit_scale"]),
]
BLOCK = [
    ("ln_1.", ["layer_norm1."]),
    ("attn.in_proj_", ["self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."]),
    ("attn.out_proj.", ["self_attn.out_proj."]),
    ("ln_2.", ["layer_norm2."]),
    ("mlp.c_fc.", ["mlp.fc1."]),
    ("mlp.c_proj.", ["mlp.fc2."]),
]
TRANSPOSED = ("text_projection", "visual.proj")
TOWERS = [("", "text_model"), ("visual.", "vision_model")]


def same_layers(depth):
    yield from TOP
    for (ours, theirs), block, part in itertools.product(TOWERS, range(depth), ["weight", "bias"]):
        for name, others in BLOCK:
            yield (
                f"{ours}transformer.resblocks.{block}.{name}{part}",
                [f"{theirs}.encoder.layers.{block}.{other}{part}" for other in others],
            )


def to_transformers(state, depth):
    converted = {}
    for name, others in same_layers(depth):
        tensor = state[name].T if name in TRANSPOSED else state[name]
        parts = tensor.chunk(len(others)) if len(others) > 1 else [tensor]
        converted |= dict(zip(others, parts, strict=True))
    return converted


def to_open_clip(state, depth):
    converted = {}
    for name, others in same_layers(depth):
        tensor = torch.cat([state[o] for o in others]) if len(others) > 1 else state[others[0]]
        converted[name] = tensor.T.contiguous() if name in TRANSPOSED else tensor
    return converted


def transformers_clip(activation, depth):
    from transformers import CLIPConfig, CLIPModel

    shared = {"num_hidden_layers": depth, "num_attention_heads": 2, "hidden_act": activation}
    text = {"vocab_size": 49408, "hidden_size": 16, "intermediate_size": 64}
    text |= {"max_position_embeddings": 16, "eos_token_id": 49407, "bos_token_id": 49406}
    vision = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "intermediate_size": 128}
    config = CLIPConfig(text_config=text | shared, vision_config=vision | shared, projection_dim=16)
    return CLIPModel(config).eval()


@pytest.mark.parametrize("origin", ["open_clip", "transformers"])
@pytest.mark.parametrize("quick", [True, False])
def test_the_value_is_that_of_transformers(tiny_clip, tmp_path, images, prompts, quick, origin):
    """Two implementations, two layers each, weights that came from either, both activations."""
    depth, generator = 2, torch.Generator().manual_seed(5)
    config = json.loads((tiny_clip / "open_clip_config.json").read_text())
    for tower in ("vision_cfg", "text_cfg"):
        config["model_cfg"][tower]["layers"] = depth
    config["model_cfg"]["quick_gelu"] = quick
    theirs = transformers_clip("quick_gelu" if quick else "gelu", depth)
    source = CLIP(**copy.deepcopy(config["model_cfg"])) if origin == "open_clip" else theirs
    random = {
        key: tensor + torch.randn(tensor.shape, generator=generator) / 4
        for key, tensor in source.state_dict().items()
    }
    ours = random if origin == "open_clip" else to_open_clip(random, depth)
    theirs.load_state_dict(to_transformers(random, depth) if origin == "open_clip" else random)
    save_file(ours, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))

    fitting = images[:, :, :32, :32]
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    pixels = (fitting - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(prompts)
    with torch.no_grad():
        output = theirs(input_ids=tokens, pixel_values=pixels)
    expected = torch.cosine_similarity(output.image_embeds, output.text_embeds)
    assert expected.std() > 0.01
    values = rewards.make("clip_alignment", model=str(tmp_path))(fitting, prompts)
    assert values.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


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


def test_remembered_prompts_do_not_change_the_numbers(tiny_clip, images, monkeypatch):
    reward = clip.ClipAlignment(str(tiny_clip), batch_size=1)
    prompts = ["a", "b", "c", "a"]
    first = reward(images, prompts)
    monkeypatch.setattr(clip, "CACHED_PROMPTS", 3)
    kept = reward._embeddings["a"]
    assert torch.equal(reward(images, prompts), first)
    assert [*reward._embeddings] == ["a", "b", "c"]
    assert reward._embeddings["a"] is kept
    reward(images[:2], ["a", "d"])
    assert [*reward._embeddings] == ["a", "d"]
    assert torch.equal(reward(images, prompts), first)
    assert all(vector.device.type == "cpu" for vector in reward._embeddings.values())


def test_it_survives_pickling(align, images, prompts):
    before = align(images, prompts)
    again = pickle.loads(pickle.dumps(align))
    assert torch.equal(again(images, [*prompts[:3], "a new one"])[:3], before[:3])
