"""A small decoder in place of the autoencoder's: where it is used, and how it is watched."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ddpo.batching import plan_batches
from ddpo.decoder_audit import _compared
from ddpo.diffusion.forward_process import ForwardProcessPolicy
from ddpo.diffusion.peak_memory import WEIGHTS, estimate_peaks
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from tests.journeys.journey import Journey, metrics
from tests.support.policies import built, configured
from tests.support.tiny_decoder import save_tiny_decoder

Models = Callable[[str], Path]
ROWS = RowGenerator(seed=3, iteration=1, rows=((0, 0), (1, 0)))
PROMPTS = ["a dog", "a cat"]


@pytest.fixture(scope="module")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.mark.parametrize("forward_process", [False, True])
@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_only_what_is_scored_in_training_is_decoded_small(
    name: str, forward_process: bool, models: Models, tiny_decoder: Path
) -> None:
    if forward_process and name == "sd15":
        return
    asked = {"resolution": 16, "tiny_vae": {"model": str(tiny_decoder)}}
    inner = built(models(name), **asked)
    policy = ForwardProcessPolicy(inner, share=1.0) if forward_process else inner
    trajectory = policy.sample(PROMPTS, ROWS)
    states = trajectory.record["latents"]
    latents = states if forward_process else states[:, -1]
    tiny, vae = inner.family.tiny_vae, inner.family.pipeline.vae
    assert isinstance(tiny, nn.Module)

    def pictures(decoded: Tensor) -> Tensor:
        return (decoded / 2 + 0.5).clamp(0, 1)

    scale, shift = vae.config.scaling_factor, vae.config.shift_factor or 0
    with torch.no_grad():
        small = pictures(tiny.decode(latents).sample)  # pyright: ignore[reportCallIssue]
        full = pictures(vae.decode(latents / scale + shift).sample)
    assert isinstance(trajectory.outputs, Tensor)
    torch.testing.assert_close(trajectory.outputs, small)
    torch.testing.assert_close(policy.decoded_fully(trajectory), full)
    heldout = policy.sample(PROMPTS, ROWS, heldout=True).outputs
    plain = built(models(name), resolution=16).sample(PROMPTS, ROWS, heldout=True).outputs
    assert isinstance(heldout, Tensor)
    assert isinstance(plain, Tensor)
    assert torch.equal(heldout, plain)


@pytest.mark.parametrize(
    ("decoder", "problem"),
    [
        ({"channels": 3}, "makes 2 times the side of 3 channels, and this model's latents have 4"),
        ({"doublings": 2}, "makes 4 times the side of 4 channels, .* have 4 and need 2 times"),
    ],
)
def test_a_decoder_of_other_latents_is_refused(
    decoder: dict[str, int], problem: str, tiny_model: Path, tmp_path: Path
) -> None:
    folder = save_tiny_decoder(tmp_path, **decoder)
    with pytest.raises(UserError, match=rf"^policy.tiny_vae.model: {folder} {problem}"):
        built(tiny_model, tiny_vae={"model": str(folder)})


@pytest.mark.parametrize("model", ["nowhere", "./nowhere", "no-such/decoder"])
def test_a_decoder_that_is_not_there_is_refused(model: str, tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"^policy.tiny_vae.model: .*nowhere|no-such/decoder"):
        built(tiny_model, tiny_vae={"model": model})


def test_two_decoders_are_compared_by_correlation_and_gap() -> None:
    nan = math.nan
    shown, exact = torch.tensor([1.0, 2, 3, nan, 9]), torch.tensor([1.0, 3, 2, 4, nan])
    assert _compared(shown, exact) == (pytest.approx(0.5), 0)
    assert _compared(torch.tensor([2.0, 4]), torch.tensor([1.0, 2])) == (pytest.approx(1), 1.5)
    assert _compared(torch.tensor([1.0, 2]), torch.tensor([1.0, 1])) == (None, 0.5)
    assert _compared(torch.tensor([1.0, nan]), torch.tensor([1.0, 1])) == (None, None)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_is_audited_in_turn_and_says_what_is_wrong(
    processes: int, config_file: Path, tiny_decoder: Path, tmp_path: Path
) -> None:
    overrides = (
        f"policy.tiny_vae={{model: {tiny_decoder}, audit_every: 3}}",
        "rewards={jpeg_compressibility: 1.0}",
        "evaluation.samples=0",
    )
    journey = Journey(tmp_path, config_file, overrides, processes)
    said = journey.finish()
    rows = metrics(journey.run)[1:]
    audited = ["decoder/jpeg_compressibility/gap" in row for row in rows]
    assert audited == [True, False, True]
    assert "policy.tiny_vae: what jpeg_compressibility says of the small decoder" in said
    assert rows[0]["decoder/jpeg_compressibility/correlation"] < 0.9
    assert abs(rows[0]["decoder/jpeg_compressibility/gap"]) > 1e-4


def test_an_audit_changes_no_number_of_training(
    config_file: Path, tiny_decoder: Path, tmp_path: Path
) -> None:
    found = []
    for every in (1, 100):
        overrides = (
            f"policy.tiny_vae={{model: {tiny_decoder}, audit_every: {every}}}",
            *("rewards={jpeg_compressibility: 1.0}", "evaluation.samples=0", "train.iterations=2"),
        )
        journey = Journey(tmp_path / str(every), config_file, overrides)
        journey.folder.mkdir()
        journey.finish()
        rows = metrics(journey.run)
        found.append([{k: v for k, v in r.items() if "decoder" not in k} for r in rows])
    assert found[0] == found[1]


def test_the_estimate_of_memory_knows_it(tiny_model: Path, tiny_decoder: Path) -> None:
    weights = []
    for options in ({}, {"tiny_vae": {"model": str(tiny_decoder)}}):
        config = configured(tiny_model, **options)
        peaks = estimate_peaks(config, plan_batches(config, 1), tiny_model)
        weights.append(peaks["training"].parts[WEIGHTS])
    tiny = built(tiny_model, tiny_vae={"model": str(tiny_decoder)}).family.tiny_vae
    assert tiny is not None
    assert weights[1] - weights[0] == sum(p.nbytes for p in tiny.parameters())
