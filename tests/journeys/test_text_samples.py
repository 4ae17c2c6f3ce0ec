"""Texts of several processes are saved, and compared by rewards, as one process has them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from accelerate import Accelerator

from ddpo.distributed import on_main
from ddpo.group_scoring import gather_seen
from ddpo.outputs import outputs_of
from ddpo.samples_folder import save_samples
from ddpo.scores import Scores
from ddpo.trajectory import Trajectory
from tests.support.processes import fork

TEXTS = ["one", "twó\n", "three " * 500]
PROMPTS = ["a", "b", "a"]
COLUMNS = {"reference": ["r", None, ["s", "t"]]}


def write(folder: Path) -> int:
    """Gather this process's share of the texts, the last of which evens out, and save them."""
    accelerator = Accelerator(cpu=True)
    share = -(-len(TEXTS) // accelerator.num_processes)
    first = accelerator.process_index * share
    mine = [min(row, len(TEXTS) - 1) for row in range(first, first + share)]
    trajectory = Trajectory(
        prompts=[PROMPTS[row] for row in mine],
        log_probs=torch.zeros(share, 1),
        mask=torch.ones(share, 1),
        record={},
        outputs=[TEXTS[row] for row in mine],
        columns={name: [values[row] for row in mine] for name, values in COLUMNS.items()},
    )
    seen = gather_seen(accelerator, trajectory, len(TEXTS))
    assert seen == (TEXTS, PROMPTS, COLUMNS)
    everyone = outputs_of(trajectory.outputs).everyones(accelerator)
    numbers = torch.arange(4.0)
    scores = Scores(numbers, {"r": numbers}, {}, [])
    on_main(accelerator, lambda: save_samples(folder, 0, PROMPTS, COLUMNS, everyone, scores))
    return 0


def test_two_processes_save_what_one_does(tmp_path: Path) -> None:
    saved = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        with fork(write, folder, cwd=folder, count=count) as processes:
            assert processes.wait() == [0] * count, processes.output
        saved.append((folder / "index.json").read_text())
    assert saved[0] == saved[1]
    assert [sample["text"] for sample in json.loads(saved[0])["samples"]] == TEXTS
