"""Every built-in reward keeps the contract."""

from copy import deepcopy
from itertools import pairwise

import open_clip
import pytest
import torch
from fastapi import FastAPI
from safetensors.torch import save_file

import rewards
from rewards import registry
from rewards.testing import check_reward
from tests.support.preference_models import (
    TINY_HPS,
    tiny_hps,
    tiny_image_reward,
    tiny_pickscore,
)
from tests.support.reward_server import free_port, running, serving
from tests.support.sandboxes import sandbox_or_skip

# Options that make each built-in reward without a network; a name is that of a fixture below.
OPTIONS = {
    "aesthetic": "tiny_aesthetic",
    "bleu": {},
    "chrf": {},
    "classifier": "tiny_classifier",
    "clip_alignment": "tiny_alignment",
    "code_compiles": {},
    "code_tests": "programs",
    "diversity": "tiny_alignment",
    "exact_match": {},
    "hps": "tiny_hps_model",
    "image_reward": "tiny_image_reward_model",
    "jpeg_compressibility": {},
    "jpeg_incompressibility": {},
    "length": {"target": 5},
    "pickscore": "tiny_pickscore_model",
    "regex": {"pattern": "circle"},
    "remote": "reward_server",
    "repetition": {},
    "rouge": {},
    "text_compressibility": {},
    "vlm_judge": "judge",
}

# What cannot be made up for some of them.
GIVEN = {
    "code_tests": {
        "samples": ["def f(x): return x + 1", "def f(x): return 2", "def f(x): return 1 / 0", "f("],
        "columns": {"tests": [["assert f(1) == 2", "assert f(2) == 3"]] * 4},
    }
}


@pytest.fixture
def programs():
    sandbox_or_skip(workers=1).close()
    return {"workers": 1}


@pytest.fixture
def tiny_alignment(tiny_clip):
    return {"model": str(tiny_clip)}


@pytest.fixture
def tiny_aesthetic(tiny_clip, tmp_path):
    generator = torch.Generator().manual_seed(0)
    state = {}
    for layer, (wide, narrow) in zip((0, 2, 4, 6, 7), pairwise((16, 9, 8, 7, 6, 1)), strict=True):
        state[f"layers.{layer}.weight"] = torch.randn(narrow, wide, generator=generator)
        state[f"layers.{layer}.bias"] = torch.randn(narrow, generator=generator)
    save_file(state, tmp_path / "head.safetensors")
    return {"model": str(tiny_clip), "head": str(tmp_path / "head.safetensors")}


@pytest.fixture
def tiny_classifier(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde", "##a", "##b", "circle", "red"]
    BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    return {"model": str(tmp_path), "label": 1}


@pytest.fixture
def tiny_hps_model(tmp_path, monkeypatch):
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Tiny-HPS", deepcopy(TINY_HPS))
    return {"checkpoint": str(tiny_hps(tmp_path / "hps.pt")), "architecture": "Tiny-HPS"}


@pytest.fixture
def tiny_image_reward_model(tmp_path):
    checkpoint, tokenizer = tiny_image_reward(tmp_path)
    return {"checkpoint": str(checkpoint), "tokenizer": str(tokenizer)}


@pytest.fixture
def tiny_pickscore_model(tmp_path):
    folder = str(tiny_pickscore(tmp_path))
    return {"model": folder, "processor": folder}


@pytest.fixture
def reward_server():
    with serving(rewards.make("jpeg_compressibility")) as url:
        yield {"url": url, "name": "jpeg_compressibility"}


@pytest.fixture
def judge():
    """A service of a model that gives every picture seven of ten points."""
    app = FastAPI()
    answer = {"choices": [{"message": {"role": "assistant", "content": "7"}}]}
    app.post("/chat/completions")(lambda: answer)
    port = free_port()
    with running(app, port) as url:
        yield {"model": "seven", "base_url": url}


def test_no_built_in_reward_is_left_out():
    assert OPTIONS.keys() == registry.BUILT_IN.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_built_in_reward_keeps_the_contract(name, request):
    options = OPTIONS[name]
    check_reward(
        name,
        options=request.getfixturevalue(options) if isinstance(options, str) else options,
        **GIVEN.get(name, {}),
    )
