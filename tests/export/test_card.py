"""The model card: what the hub reads, what a person sees, and code that runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ddpo import sample
from ddpo.export.base_model import BaseModel
from ddpo.export.card import write_card
from ddpo.export.card_code import usage
from ddpo.export.formats import export_run
from ddpo.export.markdown import fenced, literal
from tests.export.runs import Finished, finished
from tests.gallery import made_up
from tests.support.pipelines import tiny_stable_diffusion_3
from tests.support.policies import configured

Models = Callable[[str], Path]

HOSTILE = 'a "cat" | ``` <script>alert(1)</script>\n![x](https://example.org/x.png) # [y](z) \\'
METRICS: list[dict[str, Any]] = [
    {"iteration": 0, "evaluation/reward": -1.5, "evaluation/<b>|": None},
    {"iteration": 1, "reward/mean": -1.25, "reward/std": 0.5, "evaluation/<b>|": 0.75},
    {"iteration": 2, "reward/mean": -1.0, "reward/std": 0.5, "watch/<b>|": 0.2},
    {"iteration": 3, "reward/mean": -0.5, "evaluation/reward": -0.25, "evaluation/<b>|": 0.5},
]


@pytest.fixture(scope="module")
def run(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A LoRA's run whose samples and metrics are made up, and hostile."""
    made = finished(tmp_path_factory.mktemp("card"), models("sd15"))
    made_up.write_metrics(made.path, METRICS)
    for iteration, colour in ((0, "red"), (2, "green"), (3, "blue")):
        prompts = [HOSTILE, HOSTILE, "a dog"]
        pictures = [Image.new("RGB", (700, 700), colour) for _ in prompts]
        entries = [made_up.sample(prompt) for prompt in prompts]
        made_up.write_samples(made.path, iteration, entries, pictures)
    export_run(made.path, "card")
    return made


@pytest.fixture(scope="module")
def card(run: Finished) -> str:
    """Its text."""
    return (run.path / "final" / "README.md").read_text()


def code_in(card: str) -> str:
    """The Python in a card."""
    found = re.search(r"^(`{3,})python\n(.*?)\n\1$", card, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[2]


def outside_code(card: str) -> str:
    """A card without its blocks of code."""
    return re.sub(r"^(`{3,})\w+\n.*?\n\1$", "", card, flags=re.MULTILINE | re.DOTALL)


def test_the_front_matter_says_what_the_hub_asks(card: str, tmp_path: Path, run: Finished) -> None:
    _, front, _ = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": ["text-to-image", "reinforcement-learning", "ddpo", "lora"],
    }


def test_a_base_model_on_the_hub_is_linked(
    run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = replace(run.config.policy, model="someone/base")
    config = replace(run.config, policy=policy)
    base = BaseModel("someone/base", "StableDiffusionPipeline", {}, {}, {})
    monkeypatch.setattr("ddpo.export.card_subjects.read_base", lambda model: base)
    relations = {}
    for merged in (False, True):
        _, front, _ = (
            write_card(tmp_path, run.path, config, merged=merged).read_text().split("---\n", 2)
        )
        relations[merged] = yaml.safe_load(front)
    assert relations[False]["base_model"] == "someone/base"
    assert relations[False]["base_model_relation"] == "adapter"
    assert relations[True]["base_model_relation"] == "finetune"
    assert "lora" not in relations[True]["tags"]


def test_the_code_draws_what_ddpo_sample_draws(
    card: str, run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path / "final")
    exec(compile(code_in(card), "README.md", "exec"), {})
    drawn = np.asarray(Image.open("picture.png"))
    Path("picture.png").unlink()
    (expected,) = sample(run.path, [HOSTILE], seed=0)
    (other,) = sample(run.config.policy.model, [HOSTILE], seed=0, num_steps=4, guidance_scale=3.0)
    assert np.array_equal(drawn, np.asarray(expected))
    assert other.size != expected.size or not np.array_equal(drawn, np.asarray(other))


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux-schnell"])
def test_so_does_that_of_a_merged_pipeline(
    name: str, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(tmp_path, models(name))
    folder = export_run(made.path, "merged")
    monkeypatch.chdir(folder)
    exec(compile(code_in(Path("README.md").read_text()), "README.md", "exec"), {})
    (expected,) = sample(made.path, ["a photo of a cat"], seed=0)
    drawn = np.asarray(Image.open("picture.png")).astype(int)
    assert np.abs(drawn - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux-dev"])
def test_both_draw_in_the_dtype_of_the_run_s_network(
    name: str, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(tmp_path, models(name), precision={"network": "bf16"})
    export_run(made.path, "card")
    monkeypatch.chdir(made.path / "final")
    drawing: dict[str, Any] = {}
    exec(compile(code_in(Path("README.md").read_text()), "README.md", "exec"), drawing)
    network = getattr(drawing["pipeline"], made.policy.family.network_name)
    assert (network.dtype, drawing["pipeline"].vae.dtype) == (torch.bfloat16, torch.bfloat16)
    (expected,) = sample(made.path, ["a photo of a cat"], seed=0)
    assert np.array_equal(np.asarray(Image.open("picture.png")), np.asarray(expected))


@pytest.mark.parametrize("lora", [True, False])
def test_so_does_that_of_sd3_without_t5(
    lora: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_stable_diffusion_3(tmp_path / "model", t5=False)
    made = finished(tmp_path, model, lora=lora)
    export_run(made.path, "card")
    monkeypatch.chdir(made.path / "final")
    exec(compile(code_in(Path("README.md").read_text()), "README.md", "exec"), {})
    (expected,) = sample(made.path, ["a photo of a cat"], seed=0)
    assert np.array_equal(np.asarray(Image.open("picture.png")), np.asarray(expected))


def test_the_embedded_base_comes_from_the_package() -> None:
    config = configured(Path("shapes"))
    base = BaseModel("shapes", "StableDiffusionPipeline", {}, {}, {})
    assert "from_pretrained(pipeline_path())" in usage(config, base, "p", adapter=True)
    assert "ddpo" not in usage(config, base, "p", adapter=False)


def test_rewards_before_and_after(card: str) -> None:
    assert "| reward | -1.5 (0) | -0.25 (3) |" in card
    assert "| &#60;b&#62;&#124; | 0.75 (1) | 0.5 (3) |" in card
    assert "Means over held-out samples" in card


def test_without_evaluations_the_training_means_are_shown(models: Models, tmp_path: Path) -> None:
    made = finished(tmp_path, models("sd15"))
    rows = [{k: v for k, v in row.items() if not k.startswith("evaluation")} for row in METRICS]
    made_up.write_metrics(made.path, rows)
    text = export_run(made.path, "card").read_text()
    assert "| mean | -1.25 (1) | -0.5 (3) |" in text
    assert "Before and after" not in text


def test_curves_are_whole_documents(run: Finished, card: str) -> None:
    folder = run.path / "final" / "card"
    names = sorted(path.name for path in folder.glob("*.svg"))
    assert names == ["curve-0.svg", "curve-1.svg"]
    for name, title in zip(names, ["reward by iteration", "<b>| by iteration"], strict=True):
        root = ElementTree.fromstring((folder / name).read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findtext("{*}title") == title
        assert f"(card/{name})" in card


def test_one_pair_of_pictures_a_prompt(run: Finished, card: str) -> None:
    folder = run.path / "final" / "card"
    assert len(list(folder.glob("*.png"))) == 4
    for number in (0, 1):
        for when, colour in (("before", (255, 0, 0)), ("after", (0, 0, 255))):
            with Image.open(folder / f"{when}-{number}.png") as picture:
                assert picture.size == (512, 512)
                assert picture.getpixel((0, 0)) == colour
            assert f"![{when}](card/{when}-{number}.png)" in card


def test_nothing_from_data_becomes_structure(card: str) -> None:
    text = outside_code(card)
    for sign in ("<script", "![x]", "[y]", "https://example.org", "```"):
        assert sign not in text
    (row,) = [line for line in text.splitlines() if "alert" in line]
    assert len(re.findall(r"\|", row)) == 4


def test_the_configuration_and_seed_are_there(card: str, run: Finished) -> None:
    found = re.search(r"^(`{3,})yaml\n(.*?)\n\1$", card, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert yaml.safe_load(found[2])["seed"] == run.config.seed
    assert "- seed: 0\n" in card
    assert "- LoRA: rank 2, alpha 4" in card


def test_signs_and_fences() -> None:
    assert literal("a_b\n*c*") == "a&#95;b &#42;c&#42;"
    assert fenced("x ```` y", "python").startswith("`````python\n")
    assert fenced("x", "yaml") == "```yaml\nx\n```"
