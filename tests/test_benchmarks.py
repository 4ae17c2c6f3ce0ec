"""The benchmarks run, small, and their figures are of the right size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from benchmarks.caption_room import Look, look, room_in_sd
from benchmarks.gradient_signal import cosine, jackknife, noise, product, signal, useful
from benchmarks.overhead import Passes
from benchmarks.report import provenance, spread, told
from benchmarks.study import settings
from benchmarks.time_to_reward import TASKS, passes_until, summary
from ddpo.config.reading import load_config
from ddpo.worlds.shapes import pipeline_path
from tests.support.language_models import write_language_model

ROOT = Path(__file__).parents[1]
SMALL = ["train.samples_per_iteration=8", "policy.num_steps=2", "policy.window=null"]
SMALL += ["algorithm.group_size=4"]


def result_of(tmp_path: Path, module: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark wrote."""
    out = tmp_path / "result.json"
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_a_spread_by_hand() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "least": 1.0, "most": 3.0}
    assert told(spread([3.0, 1.0, 2.0]), 1) == "2.0 (1.0 to 3.0)"


def test_a_result_says_where_it_was_measured() -> None:
    assert {"date", "device", "threads", "python", "versions"} <= provenance().keys()


def test_passes_are_counted_and_made_again() -> None:
    network = nn.Linear(3, 2)
    made: list[tuple[int, bool]] = []
    network.register_forward_hook(lambda _, __, out: made.append((len(out), out.requires_grad)))

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.inner(rows),)

    wrapped = Wrapped()
    passes = Passes(wrapped)
    with passes.watched():
        wrapped(torch.ones(4, 3))
        with torch.no_grad():
            wrapped(torch.ones(4, 3))
            wrapped(torch.ones(4, 3))
    assert sorted(passes.counts.values()) == [1, 2]
    made.clear()
    passes.again()
    assert sorted(made) == [(4, False), (4, False), (4, True)]
    assert all(parameter.grad is None for parameter in network.parameters())
    wrapped(torch.ones(4, 3))
    assert sum(passes.counts.values()) == 3  # no longer watched


def test_overhead_runs(tmp_path: Path) -> None:
    config = "configs/ddpo_shapes_compressibility.yaml"
    result = result_of(
        tmp_path, "overhead", config, "--iterations=1", "--threads=1", "--overrides", *SMALL
    )
    (case,) = result["cases"]
    both = case["over_network_and_decoder"]["median"]
    assert 0.2 < both < case["over_network"]["median"]
    assert case["over_all"]["median"] < both


def test_scaling_runs(tmp_path: Path) -> None:
    small = [f"train.{name}=8" for name in ("samples_per_iteration", "micro_batch_size")]
    arguments = ["--axes=steps", "--iterations=1", "--processes=1", "--overrides", *small]
    result = result_of(tmp_path, "scaling", *arguments)
    assert [*result["steps"]["per_unit"]] == ["5", "10", "20"]
    assert result["steps"]["per_unit"]["5"]["median"] == 1


def test_the_size_of_passes_is_measured(tmp_path: Path) -> None:
    small = ["--rows", "4", "2", "--rows-of-a-round=4", "--rounds=2", "--threads=1"]
    result = result_of(tmp_path, "pass_size", *small)
    for stage in ("sampling", "training"):
        found = result[stage]
        assert found["speed"]["as loaded"]["4"] == {"median": 1, "least": 1, "most": 1}
        first, other = (found["seconds"][layout] for layout in ("as loaded", "channels last"))
        ratio = first["4"][0] / other["2"][0], first["4"][1] / other["2"][1]
        assert found["speed"]["channels last"]["2"] == spread(ratio)


def test_passes_until_a_part_of_the_target_was_first_gained() -> None:
    gains = {0: 0.0, 10: 0.5, 20: 0.8, 30: 0.6, 40: 1.1}
    curve = [{"passes": passes, "gain": gain} for passes, gain in gains.items()]
    run = {"target": 1.0, "curve": curve}
    assert [passes_until(run, part) for part in (0.5, 2 / 3, 1.0, 2.0)] == [10, 20, 40, None]


def test_a_run_that_never_arrived_is_the_longest() -> None:
    costs = [(30, 3.0), (None, None), (10, 1.0)]
    runs = [{"passes": p, "seconds": s, "cpu_seconds": s} for p, s in costs]
    found = summary("compressibility", runs)
    assert found["reached"] == 2
    assert found["passes"] == {"median": 30, "least": 10, "most": None}
    assert summary("compressibility", runs[1:])["seconds"]["median"] is None


def test_time_to_reward_runs(tmp_path: Path) -> None:
    few = [*SMALL, "evaluation.samples=16"]
    arguments = ["compressibility", *few, "--seeds", "0", "--most", "1", "--threads", "1"]
    result = result_of(tmp_path, "time_to_reward", *arguments)
    (run,) = result["runs"]
    assert [row["passes"] for row in run["curve"]] == [0, 24]  # 8 x (2 + 1 with a gradient)
    assert run["passes"] is None
    assert run["base_std"] == pytest.approx(0.17, abs=0.05)


def test_the_room_of_captions_is_in_deviations_of_all_their_pictures() -> None:
    near, far = Look("a", [0.0, 2.0], [4.0, 4.0], 0.5), Look("b", [4.0, 6.0], [6.0, 6.0], 0.0)
    assert (near.room, far.room) == (3.0, 1.0)
    assert room_in_sd([near]) == 3.0  # pictures deviate by 1 from their mean
    assert room_in_sd([near, far]) == pytest.approx(2 / 5**0.5)  # and all four by 1 and 3


def test_captions_are_looked_at_by_pictures_and_true_drawings() -> None:
    model = str(pipeline_path())
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    captions = ["a red circle on a gray background", "a small blue star on a white background"]
    found = look(pipeline, captions, 2, noise=0, drawings=0)
    assert [one.caption for one in found] == captions
    assert all(len(one.pictures) == len(one.drawings) == 2 for one in found)
    assert all(min(one.drawings) > 0.8 and one.right in (0.0, 0.5, 1.0) for one in found)
    again = look(pipeline, captions, 2, noise=0, drawings=1)
    assert [one.pictures for one in again] == [one.pictures for one in found]
    assert [one.drawings for one in again] != [one.drawings for one in found]


@pytest.mark.parametrize("task", ["compressibility", "alignment"])
def test_every_setting_of_the_study_is_one(task: str) -> None:
    named = list(settings(task, []))
    assert len({(topic, name) for topic, name, _ in named}) == len(named) > 10
    configs = [load_config(TASKS[task].config, overrides) for _, _, overrides in named]
    assert len({repr(config) for config in configs}) == len(configs)  # no two are the same


def test_the_study_runs(tmp_path: Path) -> None:
    arguments = ["compressibility", "base_setting", "--budget=1", "--evaluations=1"]
    result = result_of(tmp_path, "study", *arguments, "--evaluated=4", "--seeds", "3")
    (run,) = result["runs"]
    (row,) = run["curve"]
    assert row["passes"] == 64 * (5 + 4)  # the last of five steps has no noise, and is not trained
    assert run["seed"] == 3
    assert row["reward/mean"] == pytest.approx(-1.8, abs=0.2)


def test_the_signal_of_gradients_by_hand() -> None:
    units = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    # products of different groups: 0 + 1 + 1, each twice, over six
    assert product(units, units) == pytest.approx(4 / 6)
    # the mean of |u|^2 is 4/3, of which 2/3 is noise; an update of eight groups has an eighth
    assert noise(units) == pytest.approx(2 / 3 / 8)
    assert signal(units) == pytest.approx(8.0)
    assert useful(units, units) == pytest.approx(8.0)
    # without the third group the signal is 0, without another 1 over .5/8; (n - 1)/n of the squares
    assert jackknife(units) == pytest.approx((2 / 3 * ((32 / 3) ** 2 + 2 * (16 / 3) ** 2)) ** 0.5)
    assert cosine(units, 2 * units) == pytest.approx(1.0)
    assert cosine(units, torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])) is None
    crossed = torch.tensor([[1.0, -1.0]] * 3)
    assert useful(units, crossed) == 0.0


def test_the_signal_runs(tmp_path: Path) -> None:
    arguments = ["compressibility", "--chains", "3 steps", "--groups=2", "--threads=1"]
    rows = result_of(tmp_path, "gradient_signal", *arguments)["rows"]
    costs = {row["variant"]: row["cost"] for row in rows}
    # 64 samples of three steps; two have noise, and are trained
    assert costs["leave_one_out"] == 64 * 5
    assert costs["first half"] == 64 * 4
    same = [row for row in rows if row["variant"] in ("first half", "every other")]
    assert same[0]["signal"] == same[1]["signal"]


def test_log_probs_in_chunks_take_less_memory(tmp_path: Path) -> None:
    sizes = ["--vocabulary=20000", "--tokens=64", "--batch=8", "--chunk=64"]
    assert 0 < result_of(tmp_path, "text_memory", *sizes)["ratio"] < 0.6


def test_reinforcement_and_supervised_learning_are_compared(tmp_path: Path) -> None:
    model = write_language_model("gpt2", tmp_path / "model")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"prompt": w, "reference": w}) for w in ("ab", "cd")))
    config = tmp_path / "run.yaml"
    config.write_text(
        f"{{name: x, policy: {{kind: text, model: {model}, max_length: 4}}, "
        f"prompts: {{file: {rows}}}, rewards: {{exact_match: 1.0}}, "
        f"algorithm: {{kind: ppo}}, evaluation: {{samples: 2}}, "
        f"train: {{iterations: 1, samples_per_iteration: 8, updates_per_iteration: 2}}}}"
    )
    (run,) = result_of(tmp_path, "supervised", str(config), "reference", "--seeds=0")["runs"]
    assert run["base"]["evaluation/exact_match"] == 0
    assert run["trained"]["first_kl"] == 0
    assert run["supervised_on_as_many"]["samples"] == run["trained"]["samples"] == 8
    assert run["supervised_for_as_long"]["seconds"] >= run["trained"]["seconds"]
    assert run["supervised_for_as_long"]["samples"] > 8


def test_the_gpu_program_runs_without_one(tmp_path: Path) -> None:
    result = result_of(tmp_path, "gpu", "--tiny", "--models", "sd15", "--repeats=1")
    row = result["rows"][0]
    for stage in ("sampling", "training"):
        assert row[stage]["rows_per_second"] > 0
        assert 0 < row[stage]["share_of_matrix_rate"] < 1
    # a backward pass is about two more; sampling is of four steps, training of three
    assert 1.5 < row["training"]["flops"] / row["sampling"]["flops"] < 2.5
