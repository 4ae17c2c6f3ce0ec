"""The aesthetic head: its recipe, and what the shipped one has learned of the taste."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from ddpo.worlds.shapes import aesthetic_path, clip_path, pipeline_path, train_aesthetic
from ddpo.worlds.shapes.evaluate import taste_figures
from ddpo.worlds.shapes.preferences import taste
from ddpo.worlds.shapes.stage import as_tensor
from ddpo.worlds.shapes.train_aesthetic import (
    PICTURES,
    Pictures,
    fit,
    held_out_pictures,
    preference_loss,
    scale_scores,
    score,
    train,
)
from rewards.image.aesthetic import Aesthetic, AestheticHead, load_head

CAPTIONS = 20


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return StableDiffusionPipeline.from_pretrained(pipeline_path())


@pytest.fixture(scope="module")
def held_out(pipeline: Any) -> dict[str, Pictures]:
    return held_out_pictures(pipeline.vae, pipeline, captions=CAPTIONS)


@pytest.fixture(scope="module")
def head() -> AestheticHead:
    return load_head(aesthetic_path())


def test_the_shipped_file_has_the_published_layout():
    shapes = {key: list(value.shape) for key, value in load_file(aesthetic_path()).items()}
    widths = [64, 128, 64, 32, 16, 1]
    expected: dict[str, list[int]] = {}
    for index, wide, narrow in zip((0, 2, 4, 6, 7), widths, widths[1:], strict=False):
        expected |= {f"layers.{index}.weight": [narrow, wide], f"layers.{index}.bias": [narrow]}
    assert shapes == expected


@pytest.mark.parametrize("kind", ["scenes", "drawn"])
def test_the_head_ranks_pictures_of_held_out_captions_as_the_taste_does(
    kind: str, held_out: dict[str, Pictures], head: AestheticHead
):
    scores = score(head, held_out[kind])
    assert scores.shape == (CAPTIONS, PICTURES)
    figures = taste_figures(scores, held_out[kind], pairs=1000)
    assert figures["pairs"] >= 0.85, figures
    assert figures["pairs within"] >= 0.78, figures
    assert min(figures["coverage slope"], figures["warmth slope"]) >= 0.4, figures


def test_scores_lie_on_the_scale_that_was_promised(
    held_out: dict[str, Pictures], head: AestheticHead
):
    scores = score(head, held_out["drawn"])
    assert scores.mean() == pytest.approx(5.0, abs=0.5)
    assert scores.std() == pytest.approx(1.25, abs=0.3)
    assert 1.0 < scores.min() < scores.max() < 10.0


def test_the_reward_scores_as_the_recipe_does(held_out: dict[str, Pictures], head: AestheticHead):
    reward = Aesthetic(model=str(clip_path()), head=str(aesthetic_path()))
    pictures = held_out["drawn"][:8]
    scores = reward(as_tensor(pictures), [""] * 8)
    np.testing.assert_allclose(scores.numpy(), score(head, pictures).ravel(), atol=1e-5)


def test_a_taste_is_its_own_perfect_judge(held_out: dict[str, Pictures]):
    tastes = np.array([taste(picture) for picture in held_out["scenes"]]).reshape(-1, PICTURES)
    figures = taste_figures(tastes, held_out["scenes"], pairs=200)
    assert (figures["pairs"], figures["pairs within"]) == (1.0, 1.0)
    assert figures["taste within"] == pytest.approx(1.0)
    assert taste_figures(-tastes, held_out["scenes"], pairs=200)["pairs"] == 0.0


def test_the_loss_is_that_of_a_coin_between_equals():
    """And -log(3/4) where the odds are 3 to 1."""
    better = torch.tensor([0.0, np.log(3.0)])
    loss = preference_loss(better, torch.zeros(2)).item()
    assert loss == pytest.approx((np.log(2) + np.log(4 / 3)) / 2)


def test_scaling_fixes_mean_and_spread_and_no_order():
    torch.manual_seed(0)
    head, embeddings = AestheticHead([4, 8, 8, 8, 8, 1]).eval(), torch.randn(50, 4)
    with torch.no_grad():
        before = head(embeddings)
        scale_scores(head, embeddings)
        after = head(embeddings)
    assert (after.mean().item(), after.std().item()) == pytest.approx((5.0, 1.25), abs=1e-5)
    assert torch.equal(before.argsort(), after.argsort())


def test_a_fit_finds_the_direction_that_the_tastes_follow():
    """Tastes that grow along the first of four dimensions, of eight captions."""
    embeddings = torch.nn.functional.normalize(
        torch.randn(32, 4, generator=torch.Generator().manual_seed(1)), dim=1
    )
    tastes = embeddings[:, 0].numpy().reshape(8, PICTURES)
    head = fit([embeddings], [tastes], steps=60, peak_rate=5e-3).eval()
    with torch.no_grad():
        direction = head(torch.eye(4)) - head(torch.zeros(4, 4))
    assert direction[0] > 3 * direction[1:].abs().max()


def test_the_stage_writes_a_head_and_goes_on_from_its_pictures(
    tmp_path: Path, pipeline: Any, monkeypatch: pytest.MonkeyPatch
):
    """The second start may not draw, and makes the same head."""
    start = partial(train, tmp_path, clip_path(), pipeline.vae, pipeline, captions=4, steps=3)
    folder = start()
    first = load_file(folder / "head.safetensors")
    assert load_head(folder / "head.safetensors").width == 64
    (folder / "head.safetensors").unlink()
    monkeypatch.delattr(train_aesthetic, "generate")
    start()
    torch.testing.assert_close(load_file(folder / "head.safetensors"), first, rtol=0, atol=0)
