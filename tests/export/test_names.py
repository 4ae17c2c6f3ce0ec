"""Names of layers and of models in other tools, against values by hand, and FLUX at true width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from ddpo.diffusion.loading import load_family
from ddpo.errors import UserError
from ddpo.export.base_model import BaseModel, read_base
from ddpo.export.kohya import kohya_tensors
from ddpo.export.kohya_flux import fuse
from ddpo.export.lora_file import Layer, Lora
from ddpo.export.tool_metadata import architecture, base_model_version
from tests.support.pipelines import PIPELINES

Models = Callable[[str], Path]


def base(pipeline: str, network: Mapping[str, Any], prediction: str = "epsilon") -> BaseModel:
    """A base model of which only this is known."""
    return BaseModel("someone/something", pipeline, network, {"prediction_type": prediction}, {})


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("down_blocks.1.attentions.0.proj_in", "input_blocks_4_1_proj_in"),
        ("down_blocks.1.attentions.1.proj_in", "input_blocks_5_1_proj_in"),
        ("down_blocks.2.attentions.0.proj_in", "input_blocks_7_1_proj_in"),
        ("down_blocks.2.attentions.1.proj_in", "input_blocks_8_1_proj_in"),
        ("mid_block.attentions.0.proj_in", "middle_block_1_proj_in"),
        ("up_blocks.0.attentions.2.proj_in", "output_blocks_2_1_proj_in"),
        ("up_blocks.1.attentions.0.proj_in", "output_blocks_3_1_proj_in"),
    ],
)
def test_blocks_of_the_true_sdxl(name: str, flat: str) -> None:
    layer = Layer(torch.ones(2, 3), torch.ones(3, 2))
    lora = Lora("unet", {name: layer}, alpha=8.0)
    tensors = kohya_tensors(lora, base("StableDiffusionXLPipeline", {"layers_per_block": 2}))
    assert set(tensors) == {
        f"lora_unet_{flat}.{part}" for part in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    assert tensors[f"lora_unet_{flat}.alpha"] == 8.0


def test_fused_layers_keep_each_product() -> None:
    q, v = (Layer(torch.randn(2, 5), torch.randn(4, 2)) for _ in range(2))
    whole = fuse({"v": v, "q": q}, {"q": 4, "k": 4, "v": 4})
    assert (whole.down.shape, whole.up.shape) == ((6, 5), (12, 6))
    product = whole.up @ whole.down
    torch.testing.assert_close(product[:4], q.up @ q.down)
    torch.testing.assert_close(product[4:8], torch.zeros(4, 5))
    torch.testing.assert_close(product[8:], v.up @ v.down)


def test_single_blocks_of_flux_at_the_width_that_diffusers_presumes(tmp_path: Path) -> None:
    network = _wide_flux()
    targets = ["to_q", "to_k", "to_v", "single_transformer_blocks.0.proj_out"]
    network.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=targets))
    for name, parameter in network.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    expected = _pass(network)
    state = get_peft_model_state_dict(network)
    names = [key.removesuffix(".lora_A.weight") for key in state if "lora_A" in key]
    layers = {
        name: Layer(state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"])
        for name in names
    }
    assert len(layers) == 4
    lora = Lora("transformer", layers, alpha=4.0)
    described = base("FluxPipeline", network.config)
    save_file(kohya_tensors(lora, described), tmp_path / "lora.safetensors")
    network.delete_adapters("default")
    before = _pass(network)
    loaded: Any = FluxPipeline.lora_state_dict(str(tmp_path / "lora.safetensors"))
    FluxPipeline.load_lora_into_transformer(loaded, network_alphas=None, transformer=network)
    after = _pass(network)
    assert (expected - before).abs().max() > 1e-2
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-4)


def _wide_flux() -> FluxTransformer2DModel:
    """One single block of FLUX, 3072 wide, and nothing else of any size."""
    with torch.device("meta"):
        network = FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=0,
            num_single_layers=1,
            joint_attention_dim=8,
            pooled_projection_dim=8,
        )
    network = network.to_empty(device="cpu")
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.02, 0.02)
    return network.requires_grad_(False)


@torch.no_grad()
def _pass(network: FluxTransformer2DModel) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    return network(
        hidden_states=torch.randn(1, 4, 4, generator=noise),
        encoder_hidden_states=torch.randn(1, 3, 8, generator=noise),
        pooled_projections=torch.randn(1, 8, generator=noise),
        timestep=torch.tensor([0.5]),
        img_ids=torch.zeros(4, 3),
        txt_ids=torch.zeros(3, 3),
        return_dict=False,
    )[0]


@pytest.mark.parametrize(
    ("described", "names"),
    [
        (
            base("StableDiffusionPipeline", {"cross_attention_dim": 768}),
            ("stable-diffusion-v1/lora", "sd_v1"),
        ),
        (
            base("StableDiffusionPipeline", {"cross_attention_dim": 1024}, "v_prediction"),
            ("stable-diffusion-v2-768-v/lora", "sd_v2_v"),
        ),
        (
            base("StableDiffusionPipeline", {"cross_attention_dim": 1024}),
            ("stable-diffusion-v2-512/lora", "sd_v2"),
        ),
        (base("StableDiffusionPipeline", {"cross_attention_dim": 16}), (None, None)),
        (
            base("StableDiffusionXLPipeline", {}),
            ("stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0"),
        ),
        (base("StableDiffusion3Pipeline", {}), ("stable-diffusion-3/lora", None)),
        (base("FluxPipeline", {"guidance_embeds": True}), ("flux-1-dev/lora", "flux1")),
        (base("FluxPipeline", {"guidance_embeds": False}), ("flux-1-schnell/lora", "flux1")),
    ],
    ids=["1", "2-v", "2-base", "unknown", "xl", "3", "dev", "schnell"],
)
def test_what_tools_call_the_base(
    described: BaseModel, names: tuple[str | None, str | None]
) -> None:
    assert (architecture(described), base_model_version(described)) == names


@pytest.mark.parametrize("name", PIPELINES)
def test_what_is_known_without_weights_is_what_the_family_says(models: Models, name: str) -> None:
    described, family = read_base(str(models(name))), load_family(str(models(name)))
    assert described.family is type(family)
    assert described.guidance_scale == family.guidance_scale
    side = family.latent_shape(None)[1] * family.pipeline.vae_scale_factor
    assert described.resolution == side
    assert described.hub_id is None


def test_a_base_model_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody/nothing is neither a folder nor in the hub's"):
        read_base("nobody/nothing")
    with pytest.raises(UserError, match="gone is neither a folder"):
        read_base(str(tmp_path / "gone"))
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(UserError, match=r"model_index\.json of"):
        read_base(str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "AudioPipeline"}')
    with pytest.raises(UserError, match="is a AudioPipeline; known families: StableDiffusion"):
        read_base(str(tmp_path))
    assert read_base("shapes").pipeline == "StableDiffusionPipeline"
