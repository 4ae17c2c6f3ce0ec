"""What a run leaves behind works without the project that made it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from ddpo import sample
from ddpo.__main__ import main
from tests.journeys.conftest import LORA
from tests.journeys.journey import Journey
from tests.support.processes import run_command

PROMPTS = ["a red circle", "a dog on a gray background"]
SEED = 7
CHAIN: dict[str, Any] = {"steps": 4, "guidance": 3.0, "eta": 1.0}
"""As in the configuration of the runs."""

Pictures = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def runs(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Journey]:
    """Runs that moved far from their base: of all weights, and of a LoRA with alpha ≠ rank."""
    made = {}
    for name, overrides in {"full": (), "lora": (LORA, "train.ema_decay=0")}.items():
        far = (*overrides, "train.iterations=2", "train.learning_rate=0.02", "evaluation.samples=0")
        made[name] = Journey(tmp_path_factory.mktemp(name), config_file, far)
        made[name].finish()
    return made


@pytest.fixture(scope="module")
def plain(
    runs: dict[str, Journey], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Pictures:
    """Pictures that diffusers makes in a process that cannot import ddpo."""
    out = tmp_path_factory.mktemp("plain")
    full, lora = runs["full"].run / "final", runs["lora"].run / "final"
    models = {
        "base": (tiny_model, None),
        "full": (full, None),
        "lora": (tiny_model, lora),
        "lora without its alpha": (tiny_model, without_metadata(lora, out / "without")),
    }
    common = {**CHAIN, "prompts": PROMPTS, "seed": SEED}
    entries = [
        {"base": str(base), "lora": adapter and str(adapter), "out": str(out / name), **common}
        for name, (base, adapter) in models.items()
    ]
    (out / "entries.json").write_text(json.dumps(entries))
    script = Path(__file__).with_name("plain_diffusers.py")
    with run_command([sys.executable, script, out / "entries.json"], cwd=out) as started:
        assert started.wait() == [0], started.output
    return {name: pictures_in(out / name) for name in models}


def without_metadata(lora: Path, folder: Path) -> Path:
    """The same adapter as it would be saved by who forgets its alpha."""
    folder.mkdir()
    (file,) = lora.glob("*.safetensors")
    save_file(load_file(file), folder / file.name)
    return folder


def pictures_in(folder: Path) -> np.ndarray:
    """All pictures in a folder, in order."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def pictures_of(model: Path, **options: Any) -> np.ndarray:
    """What `ddpo.sample` makes."""
    return np.stack([np.asarray(i) for i in sample(model, PROMPTS, seed=SEED, **options)])


@pytest.mark.parametrize("name", ["full", "lora"])
def test_final_gives_the_same_pictures_in_plain_diffusers(
    name: str, runs: dict[str, Journey], plain: Pictures
) -> None:
    assert np.array_equal(pictures_of(runs[name].run), plain[name])


@pytest.mark.parametrize("other", ["base", "full", "lora without its alpha"])
def test_other_models_give_other_pictures(
    other: str, runs: dict[str, Journey], plain: Pictures
) -> None:
    assert not np.array_equal(pictures_of(runs["lora"].run), plain[other])


def test_sample_takes_a_folder(tiny_model: Path, plain: Pictures) -> None:
    chain = {"num_steps": CHAIN["steps"], "guidance_scale": CHAIN["guidance"], "eta": CHAIN["eta"]}
    assert np.array_equal(pictures_of(tiny_model, **chain), plain["base"])


@pytest.mark.parametrize("prompts_from", ["arguments", "file"])
def test_the_command_writes_these_pictures(
    prompts_from: str,
    runs: dict[str, Journey],
    plain: Pictures,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    prompts = PROMPTS if prompts_from == "arguments" else [str(tmp_path / "prompts.txt")]
    command = ["sample", str(runs["full"].run), "--out", str(tmp_path / "out"), "--seed", str(SEED)]
    assert main([*command, "--prompts", *prompts]) == 0
    assert np.array_equal(pictures_in(tmp_path / "out"), plain["full"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{tmp_path}/out/{i:04d}.png\t{prompt}" for i, prompt in enumerate(PROMPTS)]


def test_an_unfinished_run_is_refused(
    uninterrupted: Callable[[int], Journey], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journey = uninterrupted(1).copy(tmp_path, after=1)
    command = ["sample", str(journey.run), "--prompts", "a cat", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "has no final/ yet; finish it with `ddpo train" in message
    assert not (tmp_path / "out").exists()
