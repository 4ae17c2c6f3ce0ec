"""Columns of prompts reach the rewards that declare them: in training and held-out samples, in one
process and two, and after a kill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rewards.__main__ import main
from tests.journeys.journey import Journey, differences, metrics
from tests.journeys.moments import at, killed

CONFIG = """
name: run
policy: {kind: diffusion, model: shapes, num_steps: 3, guidance_scale: 1.0}
lora: {rank: 2}
prompts: {file: captions.jsonl, template: "{text} on a gray background"}
rewards: {"tests.journeys.labelled:tint": 1.0}
watch: ["tests.journeys.labelled:lead"]
algorithm: {kind: ddpo, advantages: leave_one_out, group_size: 2}
train: {iterations: 2, samples_per_iteration: 8, sample_batch_size: 3, learning_rate: 1e-3}
evaluation: {every: 1, samples: 4, prompts: {file: heldout.jsonl, column: text}}
checkpoint: {every: 1}
"""
CAPTIONS = ["a red circle", "a green square", "a blue triangle", "a red square", "a blue circle"]
HELDOUT = ["a green circle", "a blue square"]
COLOURS = ["red", "green", "blue"]


def rows(captions: list[str]) -> str:
    """A line for each, whose reference says which caption it is of and its colour's channel."""
    made = []
    for caption in captions:
        reference = {"caption": caption, "channel": COLOURS.index(caption.split()[1])}
        made.append(json.dumps({"text": caption, "reference": reference}) + "\n")
    return "".join(made)


def begun(folder: Path, processes: int = 1) -> Journey:
    """A run that is yet to start."""
    (folder / "captions.jsonl").write_text(rows(CAPTIONS))
    (folder / "heldout.jsonl").write_text(rows(HELDOUT))
    (folder / "run.yaml").write_text(CONFIG)
    return Journey(folder, folder / "run.yaml", processes=processes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Journey]:
    """A finished run with so many processes."""
    made: dict[int, Journey] = {}

    def run(processes: int) -> Journey:
        if processes not in made:
            made[processes] = begun(tmp_path_factory.mktemp("columns"), processes)
            made[processes].finish()
        return made[processes]

    return run


@pytest.mark.parametrize("processes", [1, 2])
def test_held_out_samples_are_scored_by_their_own_column(
    processes: int, finished: Callable[[int], Journey]
) -> None:
    folder = finished(processes).run / "samples" / "000002"
    samples = json.loads((folder / "index.json").read_text())["samples"]
    assert [sample["prompt"] for sample in samples] == HELDOUT * 2
    for sample, channel in zip(samples, (1, 2, 1, 2), strict=True):
        pixels = np.asarray(Image.open(folder / sample["file"]).convert("RGB")) / 255
        assert sample["columns"]["reference"]["channel"] == channel
        assert sample["rewards"]["tint"] == pytest.approx(pixels[..., channel].mean(), abs=1 / 255)
    means = [float(np.mean([s["total"] for s in samples[first::2]])) for first in (0, 1)]
    for number, sample in enumerate(samples):
        lead = sample["total"] - means[number % 2]
        assert sample["watch"]["lead"] == pytest.approx(lead, abs=1e-5)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_sample_of_training_has_its_number(
    processes: int, finished: Callable[[int], Journey]
) -> None:
    for row in metrics(finished(processes).run)[1:]:
        assert row["samples_failed"] == 0
        assert 0 < row["reward/mean"] < 1
        assert row["watch/lead"] == pytest.approx(0, abs=1e-6)
        assert row["policy/grad_norm"] > 0


def test_a_killed_run_resumes_to_the_bit(
    finished: Callable[[int], Journey], tmp_path: Path
) -> None:
    journey = begun(tmp_path)
    with journey.start(hooks=[at("scoring", 4, killed)]) as started:  # in the second iteration
        assert started.wait_for_first() == -9, started.output
    assert journey.checkpoints == ["000001"]
    journey.finish(resume=True)
    assert differences(journey, finished(1)) == []


def test_other_prompts_are_another_run(finished: Callable[[int], Journey], tmp_path: Path) -> None:
    begun(tmp_path)
    journey = replace(
        finished(1).copy(tmp_path, after=1),
        config=tmp_path / "run.yaml",
        overrides=("prompts.limit=3", "evaluation.prompts.limit=1"),
    )
    with journey.start(resume=True) as started:
        assert started.wait() == [2]
        assert "in evaluation.prompts.limit, prompts.limit; resume with" in started.output


def test_rewards_with_columns_are_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = begun(tmp_path).config
    monkeypatch.chdir(tmp_path)
    calibrate = ["calibrate", str(config), "--samples", "4"]
    assert main(calibrate) == 0
    out = capsys.readouterr().out
    assert "4 samples of the base model, of 2 different prompts" in out
    mean = re.search(r"^tint +([0-9.]+)", out, re.MULTILINE)
    assert mean
    assert 0 < float(mean[1]) < 1
    assert main([*calibrate, "prompts={set: animals}", "policy.model=/no/model"]) == 2
    said = capsys.readouterr().err
    assert "prompts: reward 'tint' needs the column 'reference', reward 'lead' needs" in said
    assert "and the prompts have no columns; name a file or dataset with them" in said
