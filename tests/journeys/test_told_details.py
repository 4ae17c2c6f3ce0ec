"""What rewards tell of held-out samples: from every process into the index, and to the gallery."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from ddpo.distributed import on_main
from ddpo.outputs import outputs_of
from ddpo.samples_folder import save_samples
from ddpo.scoring import Scoring
from ddpo.trajectory import Trajectory
from rewards.combine import from_spec
from tests.gallery.test_folder import registered
from tests.journeys.journey import Journey
from tests.journeys.tested import result
from tests.support.processes import fork

TEXTS = ["a", "b", "", "cat", "dog"]
SPEC = {"tests.journeys.tested:tested": 1.0}
LABELLED = {"same": {"reward": "tests.journeys.tested:tested", "weight": 1.0}}

CONFIG = """
name: run
policy: {{kind: text, model: {model}, max_length: 6}}
prompts: {{file: {prompts}}}
rewards: {{"tests.journeys.tested:tested": 1.0}}
algorithm: {{kind: ppo}}
train: {{iterations: 1, samples_per_iteration: 4}}
evaluation: {{every: 1, samples: 6}}
"""


def score(folder: Path) -> int:
    """Score this process's share of the texts in two parts, as in training and as held out."""
    accelerator = Accelerator(cpu=True)
    share = -(-len(TEXTS) // accelerator.num_processes)
    first = accelerator.process_index * share
    mine = [TEXTS[min(row, len(TEXTS) - 1)] for row in range(first, first + share)]
    for keep in (False, True):
        rewards, watch = from_spec(SPEC), from_spec(LABELLED)
        scoring = Scoring(rewards, watch, accelerator, None, keep_details=keep)
        scoring.add(trajectory(mine[:2]))
        scoring.add(trajectory(mine[2:]))
        held = [part().details for part in scoring._parts]
        scores = scoring.finish(trajectory(mine), len(TEXTS))
        if not keep:
            assert not any(held)
            assert scores.details == {}
    assert scores.details.keys() == {"tested", "same"}
    everyone = outputs_of(mine).everyones(accelerator)
    on_main(accelerator, lambda: save_samples(folder, 0, TEXTS, {}, everyone, scores))
    return 0


def trajectory(texts: list[str]) -> Trajectory:
    """Of which only the texts matter."""
    numbers = torch.zeros(len(texts), 1)
    return Trajectory(texts, numbers, numbers + 1, {}, texts, {})


def test_two_processes_keep_the_details_that_one_does(tmp_path: Path) -> None:
    saved = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        with fork(score, folder, cwd=folder, count=count) as processes:
            assert processes.wait() == [0] * count, processes.output
        saved.append(json.loads((folder / "index.json").read_text())["samples"])
    assert saved[0] == saved[1]
    # What two rewards tell alike stands once; a sample of which nothing is told has no such key.
    told = [entry.get("details") for entry in saved[0]]
    assert told == [{"tested": result(text)} if text else None for text in TEXTS]


def test_a_run_s_gallery_shows_what_its_reward_told(
    language_models: Callable[[str], Path], tmp_path: Path
) -> None:
    prompts, config = tmp_path / "prompts.txt", tmp_path / "run.yaml"
    prompts.write_text("a\nb\nc\n")
    config.write_text(CONFIG.format(model=language_models("gpt2"), prompts=prompts))
    journey = Journey(tmp_path, config)
    journey.finish()
    for iteration in ("000000", "000001"):
        index = json.loads((journey.run / "samples" / iteration / "index.json").read_text())
        texts = [entry["text"] for entry in index["samples"]]
        told = [entry.get("details", {}).get("tested") for entry in index["samples"]]
        assert told == [result(text) if text else None for text in texts]
        assert any(told)
        shown = registered(journey.run / "gallery", iteration)["tests"]
        assert shown == [each and {**each, "problem": ""} for each in told]
