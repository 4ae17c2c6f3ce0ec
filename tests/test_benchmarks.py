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
from torch import nn

from benchmarks.overhead import Passes
from benchmarks.report import provenance, spread, told

ROOT = Path(__file__).parents[1]
SMALL = ["train.samples_per_iteration=8", "policy.num_steps=2", "algorithm.group_size=4"]


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
    result = result_of(tmp_path, "scaling", "--axes", "steps", "--iterations=1", "--processes=1")
    assert [*result["steps"]["per_unit"]] == ["5", "10", "20"]
    assert result["steps"]["per_unit"]["5"]["median"] == 1


def test_time_to_reward_runs(tmp_path: Path) -> None:
    arguments = ["compressibility", *SMALL, "--seeds", "0", "--most", "1", "--threads", "1"]
    result = result_of(tmp_path, "time_to_reward", *arguments)
    (run,) = result["runs"]
    assert [row["passes"] for row in run["curve"]] == [0, 24]  # 8 x (2 + 1 with a gradient)
    assert run["passes"] is None
    assert run["base_std"] == pytest.approx(0.17, abs=0.05)


def test_the_gpu_program_runs_without_one(tmp_path: Path) -> None:
    result = result_of(tmp_path, "gpu", "--tiny", "--models", "sd15", "--repeats=1")
    row = result["rows"][0]
    for stage in ("sampling", "training"):
        assert row[stage]["rows_per_second"] > 0
        assert 0 < row[stage]["share_of_matrix_rate"] < 1
    # a backward pass is about two more; sampling is of four steps, training of three
    assert 1.5 < row["training"]["flops"] / row["sampling"]["flops"] < 2.5
