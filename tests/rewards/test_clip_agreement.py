"""`clip_alignment` against the CLIP of transformers: two implementations, the same numbers."""

import copy
import itertools
import json

import open_clip
import pytest
import torch
from open_clip import CLIP
from safetensors.torch import save_file

import rewards

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
