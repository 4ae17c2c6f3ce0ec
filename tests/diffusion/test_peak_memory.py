"""The estimate of peak memory: against a run, and setting by setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from ddpo.batching import plan_batches
from ddpo.config.diffusion_policy import PrecisionConfig
from ddpo.config.reading import decode_config
from ddpo.config.writing import config_tree
from ddpo.diffusion.loading import load_pipeline
from ddpo.diffusion.peak_memory import estimate_peaks
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.diffusion.weightless import empty, load_weightless
from ddpo.evaluation import evaluate
from ddpo.live_memory import LiveMemory
from ddpo.optimizers import empty_state
from ddpo.run import prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate
from tests.support.pipelines import PIPELINES
from tests.support.policies import configured

Models = Callable[[str], Path]
CPU = torch.device("cpu")
FP16 = PrecisionConfig("fp16", "fp16", "fp16")


def config_of(models: Models, name: str, *, train: Any = None, lora: bool = True, **policy: Any):
    """A configuration whose passes are of several samples, and not all of them."""
    config = configured(models(name), lora, **{"guidance_scale": None, "resolution": 16} | policy)
    tree = config_tree(config)
    tree["train"] |= {"samples_per_iteration": 8, "sample_batch_size": 4} | (train or {})
    return decode_config(tree)


def peaks_of(models: Models, name: str, **options: Any):
    config = config_of(models, name, **options)
    return estimate_peaks(config, plan_batches(config, 1), models(name))


@pytest.mark.parametrize("name", PIPELINES)
def test_a_weightless_model_has_the_sizes_and_dtypes_of_the_loaded_one(
    name: str, models: Models
) -> None:
    loaded = load_pipeline(str(models(name)), FP16)
    weightless = load_weightless(models(name), "it", None, FP16).pipeline
    for part, network in loaded.components.items():
        if isinstance(network, nn.Module):
            own = getattr(weightless, part)
            assert type(own) is type(network)
            assert forms(own) == forms(network)
            assert all(isinstance(weight, FakeTensor) for weight in own.parameters())


def forms(network: nn.Module) -> dict[str, Any]:
    """Shape and dtype of all that a network holds."""
    held = [*network.named_parameters(), *network.named_buffers()]
    return {name: (weight.shape, weight.dtype) for name, weight in held}


@pytest.mark.parametrize(
    ("name", "lora"),
    [
        *(("sd15", False), ("sd21", True), ("sdxl", True)),
        *(("sd3", False), ("flux-dev", True), ("flux-schnell", False)),
    ],
)
def test_the_estimate_is_what_a_run_holds(
    name: str, lora: bool, models: Models, tmp_path: Path
) -> None:
    policy = {"max_sequence_length": 16} if name in ("sd3", "flux-dev", "flux-schnell") else {}
    config = config_of(models, name, lora=lora, **policy)
    peaks = estimate_peaks(config, plan_batches(config, 1), models(name))
    tree = config_tree(config) | {"output_dir": str(tmp_path)}
    live = LiveMemory(CPU)
    with live:
        run = prepare_run(decode_config(tree), resume=False)
        for part in run.policy.family.pipeline.components.values():  # pyright: ignore
            if isinstance(part, nn.Module):
                live.label([*part.parameters(), *part.buffers()], "weights")
        with StopRequest(run.accelerator) as stop:
            iterate(run, stop)
            with live.stage("iteration"):
                iterate(run, stop)
    run.scorer.close()
    stages = ("sampling", "decoding", "training")
    estimate = max(peaks[stage].total for stage in stages)
    assert estimate == pytest.approx(live.peaks["iteration"].total, rel=0.02)


def test_guidance_of_held_out_samples_makes_their_passes_smaller(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: set[tuple[bool, int]] = set()
    sample = DiffusionPolicy.sample

    def counted(self: DiffusionPolicy, prompts: Any, *rest: Any, heldout: bool = False) -> Any:
        sizes.add((heldout, len(prompts)))
        return sample(self, prompts, *rest, heldout=heldout)

    monkeypatch.setattr(DiffusionPolicy, "sample", counted)
    plain = config_of(models, "sd15", guidance_scale=1.0, num_steps=1)
    tree = config_tree(plain) | {"output_dir": str(tmp_path)}
    tree["evaluation"] |= {"guidance_scale": 3.0, "samples": 6}
    config = decode_config(tree)
    estimate_peaks(config, plan_batches(config, 1), models("sd15"))
    assert sizes == {(False, 4), (True, 2)}
    sizes.clear()
    run = prepare_run(config, resume=False)
    evaluate(run)
    run.scorer.close()
    assert sizes == {(True, 2)}


def test_a_layout_takes_no_memory(models: Models) -> None:
    plain, laid = (
        peaks_of(models, "sd15", lora=False, channels_last=last)["sampling"].parts["weights"]
        for last in (False, True)
    )
    assert plain == laid > 0


def test_what_saves_memory_is_less(models: Models) -> None:
    plain = peaks_of(models, "flux-schnell", lora=False)["training"]
    for train in ({"gradient_checkpointing": True}, {"micro_batch_size": 1}):
        less = peaks_of(models, "flux-schnell", lora=False, train=train)["training"]
        assert less.parts["activations"] < 0.8 * plain.parts["activations"]


def test_what_is_kept_beside_the_weights_is_counted(models: Models) -> None:
    without, copied = (
        peaks_of(models, "sd15", lora=False, kl_coef=kl)["sampling"].parts for kl in (0.0, 0.1)
    )
    network = load_pipeline(str(models("sd15"))).unet
    size = sum(weight.nbytes for weight in network.parameters())
    assert copied["weights"] - without["weights"] == size
    averaged = peaks_of(models, "sd15", lora=False, kl_coef=0.0, train={"ema_decay": 0.9})
    kept = averaged["sampling"].parts["gradients and optimizer"]
    assert kept - without["gradients and optimizer"] == size
    assert averaged["evaluation"].parts["gradients and optimizer"] - kept == size


def test_weights_in_half_the_bytes_and_attention_that_keeps_its_matrix(models: Models) -> None:
    precision = {"network": "bf16", "text_encoder": "bf16", "vae": "bf16"}
    whole, half = (
        peaks_of(models, "flux-dev", kl_coef=0.0, precision=one)["sampling"].parts["weights"]
        for one in ({}, precision)
    )
    assert half == pytest.approx(whole / 2, rel=0.05)  # adapters stay fp32
    native, eager = (
        peaks_of(models, "sd15", attention=name)["training"].total for name in (None, "eager")
    )
    assert eager > 1.05 * native


@pytest.mark.parametrize("optimizer", ["adafactor", "adamw_8bit"])
def test_optimizers_that_keep_less_by_hand(optimizer: str, models: Models) -> None:
    config = config_of(models, "sd15", train={"optimizer": optimizer}).train
    sizes = ([17, 2, 128], [4095])
    matrix, vector = (empty_state(config, empty(size, torch.float32, CPU)) for size in sizes)
    by_hand = {
        "adafactor": (17 * (2 + 128) * 4, 4095 * 4),
        "adamw_8bit": (2 * 17 * 256 + 2 * 17 * 4, 2 * 4 * 4095),
    }
    held = tuple(sum(tensor.nbytes for tensor in state) for state in (matrix, vector))
    assert held == by_hand[optimizer]


def test_the_state_of_such_an_optimizer_is_counted(models: Models) -> None:
    adamw, adafactor = (
        peaks_of(models, "flux-schnell", lora=False, train={"optimizer": name})["sampling"]
        for name in ("adamw", "adafactor")
    )
    kept = "gradients and optimizer"
    assert adafactor.parts[kept] < 0.3 * adamw.parts[kept]
