"""What is exported makes the policy's pictures in plain diffusers, with alpha ≠ rank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ddpo.__main__ import main
from ddpo.export.formats import export_run
from tests.export.runs import finished
from tests.support.pipelines import PIPELINES

Models = Callable[[str], Path]

U_NETS = ("sd15", "sd21", "sdxl")
FLUX_DOUBLE = tuple(
    f"transformer_blocks.0.{layer}"
    for layer in (
        *("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"),
        *("attn.add_q_proj", "attn.add_v_proj", "attn.to_add_out"),
        *("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"),
    )
)
"""Layers whose widths diffusers does not presume, all but one part of a fused one."""
TARGETS = {"flux-dev": FLUX_DOUBLE, "flux-schnell": FLUX_DOUBLE}


def check_images(images: Tensor, expected: Tensor, base: Tensor) -> None:
    """These are the expected images, and not those of the base."""
    torch.testing.assert_close(images, expected, atol=1e-4, rtol=0)
    assert (images - base).abs().max() > 1e-3


@pytest.mark.parametrize("name", [*U_NETS, *TARGETS])
def test_a_kohya_file_makes_the_same_images(models: Models, name: str, tmp_path: Path) -> None:
    run = finished(tmp_path, models(name), TARGETS.get(name, ()))
    file = export_run(run.path, "kohya")
    check_images(run.plain_images(file), run.images, run.plain_images())
    assert all(key.startswith("lora_unet_") for key in load_file(file))
    tensors = load_file(file)
    weak = {k: v / 2 if k.endswith(".alpha") else v for k, v in tensors.items()}
    save_file(weak, tmp_path / "rank.safetensors")
    others = run.plain_images(tmp_path / "rank.safetensors")
    assert (others - run.images).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_so_does_one_of_other_layers_than_attention_alone(
    models: Models, name: str, tmp_path: Path
) -> None:
    run = finished(tmp_path, models(name), ("proj_in", "ff.net.0.proj", "attn2.to_k", "proj_out"))
    file = export_run(run.path, "kohya")
    check_images(run.plain_images(file), run.images, run.plain_images())


@pytest.mark.parametrize("name", PIPELINES)
def test_a_folded_file_makes_the_same_images_without_its_metadata(
    models: Models, name: str, tmp_path: Path
) -> None:
    run = finished(tmp_path, models(name))
    file = export_run(run.path, "folded", tmp_path / "deep" / "out.safetensors")
    save_file(load_file(file), tmp_path / "bare.safetensors")
    check_images(run.plain_images(tmp_path / "bare.safetensors"), run.images, run.plain_images())


@pytest.mark.parametrize("name", ["sd21", "sdxl", "sd3", "flux-dev"])
def test_a_merged_pipeline_makes_the_same_images(models: Models, name: str, tmp_path: Path) -> None:
    run = finished(tmp_path, models(name))
    folder = export_run(run.path, "merged")
    assert folder == run.path / "export" / "a-run-merged"
    check_images(run.plain_images(model=folder), run.images, run.plain_images())
    assert not list(folder.rglob("*lora*"))
    assert "load_lora_weights" not in (folder / "README.md").read_text()


def test_the_command_writes_into_the_run_folder_and_says_what_tools_show(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, models("sdxl"))
    assert main(["export", str(run.path), "--format", "kohya"]) == 0
    file = run.path / "export" / "a-run-kohya.safetensors"
    assert capsys.readouterr().out == f"{file}\n"
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        alphas = {opened.get_tensor(k).item() for k in opened.keys() if "alpha" in k}  # noqa: SIM118
    assert alphas == {4.0}
    assert metadata["modelspec.title"] == "run"
    assert metadata["ss_network_dim"] == "2"
    assert metadata["ss_network_alpha"] == "4"
    assert metadata["modelspec.resolution"] == "16x16"
    assert metadata["modelspec.implementation"].endswith("/generative-models")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that `ddpo export` refuses with."""
    assert main(["export", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_a_layout_that_cannot_be_checked_is_refused(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, models("sd3"))
    message = refusal(capsys, run.path, "--format", "kohya")
    assert "kohya is not offered for StableDiffusion3Pipeline" in message
    assert "--format folded" in message
    assert not list(run.path.glob("export/*"))


@pytest.mark.parametrize(
    ("name", "target"), [("sd15", "conv1"), ("sdxl", "time_emb_proj"), ("flux-dev", "x_embedder")]
)
def test_a_layer_without_a_checked_name_is_refused(
    models: Models, name: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, models(name), (target,))
    message = refusal(capsys, run.path, "--format", "kohya")
    assert target in message
    assert "kohya has no checked name for layer" in message


def test_what_is_there_stays(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, models("sd15"))
    (tmp_path / "mine").write_text("mine")
    message = refusal(capsys, run.path, "--format", "folded", "--out", tmp_path / "mine")
    assert f"{tmp_path / 'mine'} exists" in message
    below = tmp_path / "mine" / "out.safetensors"
    assert "cannot be written: " in refusal(capsys, run.path, "--format", "folded", "--out", below)
    assert (tmp_path / "mine").read_text() == "mine"
    assert "leave it out" in refusal(capsys, run.path, "--format", "card", "--out", below)


@pytest.mark.parametrize("kind", ["kohya", "folded", "merged"])
def test_a_run_of_all_weights_has_no_lora(
    models: Models, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path, models("sd15"), lora=False)
    assert "trained all weights; its final/ is" in refusal(capsys, run.path, "--format", kind)


def test_what_is_no_finished_run_is_refused(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a run folder" in refusal(capsys, tmp_path, "--format", "kohya")
    run = finished(tmp_path, models("sd15"))
    lora = run.path / "final" / "pytorch_lora_weights.safetensors"
    save_file(load_file(lora), lora)
    assert "does not say its alpha" in refusal(capsys, run.path, "--format", "kohya")
    lora.write_bytes(b"damaged")
    assert "cannot be read" in refusal(capsys, run.path, "--format", "kohya")
    (run.path / "final").rename(run.path / "elsewhere")
    message = refusal(capsys, run.path, "--format", "kohya")
    assert "has no final/ yet; finish it with `ddpo train" in message
