"""What all tests share: shapes checked at run time, no hub, and models made here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors are small, and so are the machines

import random

from beartype._check.code import codemain
from jaxtyping import install_import_hook

# beartype looks at one random item of a list: not from the state that rewards must leave alone.
codemain.getrandbits = random.Random(0).getrandbits
install_import_hook(["ddpo", "rewards"], "beartype.beartype")

import pytest
import torch

from tests.support.configurations import MINIMAL, write
from tests.support.language_models import write_language_model
from tests.support.pipelines import PIPELINES, tiny_stable_diffusion

torch.set_num_threads(1)


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """A file with the smallest configuration."""
    return write(tmp_path, MINIMAL)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an SD-1.5-shaped pipeline of random weights."""
    return tiny_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_v_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with v-prediction, as SD 2.1."""
    folder = tmp_path_factory.mktemp("models") / "tiny-v"
    return tiny_stable_diffusion(folder, prediction_type="v_prediction")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny pipelines by family, each made when it is first asked for."""
    made: dict[str, Path] = {}

    def model(name: str) -> Path:
        if name not in made:
            made[name] = PIPELINES[name](tmp_path_factory.mktemp("families") / name)
        return made[name]

    return model


@pytest.fixture(scope="session")
def language_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny language models by architecture, each made when it is first asked for."""
    made: dict[str, Path] = {}

    def model(name: str) -> Path:
        if name not in made:
            made[name] = write_language_model(name, tmp_path_factory.mktemp("language") / name)
        return made[name]

    return model
