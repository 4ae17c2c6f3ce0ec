"""The parts of the recipe that training relies on."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from ddpo.worlds.shapes import pipeline_path, train_clip
from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.negatives import altered
from ddpo.worlds.shapes.scenes import Claim, parse
from ddpo.worlds.shapes.stage import Stage
from ddpo.worlds.shapes.tokenizer import make_tokenizer, vocabulary
from ddpo.worlds.shapes.train_autoencoder import random_pictures, reconstruction_loss
from ddpo.worlds.shapes.train_clip import contrastive_loss
from ddpo.worlds.shapes.train_unet import new_scheduler

PAIR = parse("a large red circle left of a blue square on a gray background")


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("shape", r"a large red (\w+) left of a blue (\w+) on a gray background"),
        ("colour", r"an? large (\w+) circle left of an? (\w+) square on a gray background"),
        ("size", "a small red circle left of a blue square on a gray background"),
        ("background", r"a large red circle left of a blue square on a (?!gray)\w+ background"),
        ("relation", "a large red circle above a blue square on a gray background"),
        ("order", "a blue square left of a large red circle on a gray background"),
        ("binding", "a large blue circle left of a red square on a gray background"),
    ],
)
def test_an_altered_claim_differs_in_its_attribute_only(attribute: str, expected: str):
    other = altered(PAIR, attribute, np.random.default_rng(0))
    assert other is not None
    assert other != PAIR
    assert re.fullmatch(expected, other.caption())


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("a red circle on a gray background", "size"),
        ("a red circle on a gray background", "relation"),
        ("a red circle on a gray background", "order"),
        ("a red circle on a gray background", "binding"),
        ("a red circle left of a red square on a gray background", "binding"),
        ("a red circle left of a blue square on a gray background", "position"),
    ],
)
def test_what_a_claim_does_not_say_cannot_be_altered(text: str, attribute: str):
    claim: Claim = parse(text)
    assert altered(claim, attribute, np.random.default_rng(0)) is None


def test_the_tokenizer_has_one_token_a_word_and_ends_with_the_end():
    tokenizer = make_tokenizer()
    for word in vocabulary():
        assert len(tokenizer(word).input_ids) == 3
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_the_last_training_step_is_all_but_pure_noise():
    assert new_scheduler().alphas_cumprod[-1] == pytest.approx(1e-5, rel=1e-3)


@pytest.mark.parametrize("num_steps", [2, 25, 30, 50, 1000])
def test_every_step_of_diffusers_own_noisy_chain_is_finite(num_steps: int):
    scheduler = new_scheduler()
    scheduler.set_timesteps(num_steps)
    latents = torch.ones(1, 1, 2, 2)
    for timestep in scheduler.timesteps:
        latents = scheduler.step(-latents, int(timestep), latents, eta=1.0).prev_sample
        assert latents.isfinite().all()


def test_the_reconstruction_loss_counts_things_four_times_and_edges():
    target = torch.zeros(1, 3, 4, 4)
    assert reconstruction_loss(target, target) == 0.0
    # A constant error of 1 has no edges: 1 + 1/2 on every pixel, all of it background.
    assert reconstruction_loss(target + 1, target).item() == pytest.approx(1.5)
    target[..., 0, 0] = 1.0  # one pixel of sixteen is a thing
    assert reconstruction_loss(target + 1, target).item() == pytest.approx(1.5 * (15 + 4) / 16)


def test_equal_captions_are_no_negatives_of_each_other():
    """Two pictures of one caption, and a caption that fits neither."""
    images, texts = torch.eye(3)[[0, 0]], torch.eye(3)[[0, 0, 1]]
    loss = contrastive_loss(images, texts, torch.tensor(2.0), ["a", "a", "b"])
    forward = -math.log(math.e**2 / (math.e**2 + 1))  # against the one other caption
    assert loss.item() == pytest.approx(forward / 2)  # the reverse has nothing to choose from


def test_the_clip_stage_makes_a_folder_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On few pictures and for a moment, with all three kinds of batches."""
    monkeypatch.setattr(train_clip, "WORN_GROUPS", 4)
    monkeypatch.setattr(train_clip, "DRAWN_GROUPS", 4)
    monkeypatch.setattr(Stage, "steps", lambda stage: range(4))
    pipeline = StableDiffusionPipeline.from_pretrained(pipeline_path())
    folder = train_clip.train(tmp_path, pipeline.vae, pipeline, minutes=1.0, groups=4)
    model, preprocess, tokenize = load_clip(folder)
    similarity = (
        model.encode_image(preprocess(torch.rand(2, 3, 64, 64)))
        @ model.encode_text(tokenize(["a red circle on a gray background"])).T
    )
    assert similarity.shape == (2, 1)
    assert similarity.isfinite().all()


def test_crops_show_a_thing():
    crops = random_pictures(32, seed=0, size=32)
    assert crops.shape == (32, 3, 32, 32)
    contrast = crops.flatten(2).std(dim=2).amax(dim=1)
    assert (contrast > 0.1).all()


def _stage(folder: Path, minutes: float = 1.0) -> Stage:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return Stage(folder, "toy", {"model": model}, optimizer, minutes, peak_rate=1e-2)


def test_a_stage_goes_on_from_its_checkpoint(tmp_path: Path):
    first = _stage(tmp_path)
    for step in first.steps():
        first.update(first.modules["model"](torch.ones(1, 2)).square().sum())
        if step == 4:
            first.stop()
    again = _stage(tmp_path)
    assert (again.step, again.stopped) == (5, True)
    torch.testing.assert_close(
        again.modules["model"].state_dict(), first.modules["model"].state_dict(), rtol=0, atol=0
    )
    ours, theirs = again.optimizer.state_dict()["state"], first.optimizer.state_dict()["state"]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert list(again.steps()) == []


def test_a_stage_ends_when_its_time_is_spent(tmp_path: Path):
    assert len(list(_stage(tmp_path, minutes=1e-9).steps())) == 1
