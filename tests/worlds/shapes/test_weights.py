"""The shipped weights: they load in plain libraries, fit their limit, and do what the card says."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline

from ddpo.worlds.shapes import aesthetic_path, clip_path, pipeline_path
from ddpo.worlds.shapes.build import PUBLISHED, SIZE_LIMIT, publish, weigh
from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.evaluate import (
    accuracy,
    clip_accuracy,
    generate,
    random_scenes,
    reconstruction_accuracy,
)
from ddpo.worlds.shapes.scenes import caption, heldout_captions, render
from ddpo.worlds.shapes.stage import as_tensor


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return StableDiffusionPipeline.from_pretrained(pipeline_path())


def test_all_weights_together_fit_the_limit():
    folders = (pipeline_path(), clip_path(), aesthetic_path().parent)
    assert {folder.name for folder in folders} == set(PUBLISHED)
    assert SIZE_LIMIT == 16_000_000
    assert weigh(pipeline_path().parent) <= SIZE_LIMIT


def test_only_safetensors_and_json_are_shipped():
    files = [path for path in pipeline_path().parent.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}


def test_the_tokenizer_fits_the_text_encoder_and_knows_every_word(pipeline: Any):
    assert len(pipeline.tokenizer) == pipeline.text_encoder.config.vocab_size
    for text in heldout_captions(50):
        assert len(pipeline.tokenizer(text).input_ids) == len(text.split()) + 2


def test_the_autoencoder_keeps_what_the_verifier_reads(pipeline: Any):
    assert reconstruction_accuracy(pipeline.vae, 200) >= 0.97


def test_the_pipeline_draws_held_out_captions_and_leaves_room(pipeline: Any):
    captions = heldout_captions(24, seed=1)
    pictures = generate(pipeline, captions)
    assert pictures.shape == (24, 64, 64, 3)
    assert 0.4 <= accuracy(pictures, captions) < 1.0


def test_other_captions_do_not_match_the_pictures(pipeline: Any):
    captions = heldout_captions(8, seed=2)
    pictures = generate(pipeline, captions)
    assert accuracy(pictures, captions[1:] + captions[:1]) == 0.0


def test_open_clip_itself_loads_the_clip():
    name = f"local-dir:{clip_path()}"
    model, _, transform = open_clip.create_model_and_transforms(name, require_pretrained=True)
    tokens = open_clip.get_tokenizer(name)(["a red circle on a gray background", ""])
    assert tokens.shape == (2, 20)
    assert model.encode_text(tokens).shape == (2, 64)
    assert sum(p.numel() for p in model.parameters()) <= 800_000
    assert list(transform.transforms[-1].mean) == [0.5, 0.5, 0.5]


def test_clip_finds_each_picture_s_own_caption():
    scenes = random_scenes(24, seed=21, held_out=True)
    model, preprocess, tokenize = load_clip()
    images = preprocess(as_tensor(np.stack([render(scene) for scene in scenes])))
    with torch.no_grad():
        similar = (
            model.encode_image(images, normalize=True)
            @ model.encode_text(tokenize([caption(scene) for scene in scenes]), normalize=True).T
        )
    assert (similar.argmax(dim=1) == torch.arange(24)).float().mean() >= 0.9


def test_clip_prefers_the_right_caption_to_one_with_an_attribute_changed(pipeline: Any):
    result = clip_accuracy(None, pipeline.vae, 100)
    assert min(result.values()) >= 0.75, result
    assert np.mean(list(result.values())) >= 0.9, result


def test_publishing_replaces_a_folder_and_refuses_a_heavy_one(tmp_path: Path):
    source, target = tmp_path / "new", tmp_path / "shipped"
    for folder, name in ((source, "new.json"), (target, "old.json")):
        folder.mkdir()
        (folder / name).write_text("{}")
    publish(source, target)
    assert [path.name for path in target.iterdir()] == ["new.json"]
    with (source / "heavy").open("wb") as file:
        file.truncate(SIZE_LIMIT + 1)
    with pytest.raises(ValueError, match="the limit is 16000000"):
        publish(source, target)
    assert [path.name for path in target.iterdir()] == ["new.json"]
