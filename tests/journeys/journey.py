"""One run, told from outside: where it lives, how it is started, and what it came to."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.journeys.moments import Hook, ddpo_command
from tests.support.processes import Processes, fork


@dataclass(frozen=True)
class Journey:
    """A run named `run` in a working folder of its own; the same in another folder can be compared.

    Attributes:
        folder: the working folder of its processes.
        config: the YAML file.
        overrides: on top of the file.
        processes: how many train together.
    """

    folder: Path
    config: Path
    overrides: tuple[str, ...] = ()
    processes: int = 1

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "runs" / "run"

    @property
    def checkpoints(self) -> list[str]:
        """Names of its checkpoints, the oldest first."""
        return sorted(path.name for path in (self.run / "checkpoints").glob("[0-9]*"))

    @property
    def rows(self) -> int:
        """How many rows of metrics there are."""
        file = self.run / "metrics.jsonl"
        return file.read_text().count("\n") if file.exists() else 0

    def start(
        self, *, resume: bool = False, hooks: Sequence[Hook] = (), **environment: str
    ) -> Processes:
        """Its processes, running."""
        arguments = ["train", str(self.config), *self.overrides, *["--resume"] * resume]
        return fork(
            ddpo_command,
            arguments,
            hooks,
            cwd=self.folder,
            count=self.processes,
            environment=environment,
        )

    def finish(self, *, resume: bool = False, hooks: Sequence[Hook] = ()) -> str:
        """Run to the end; returns what was printed."""
        with self.start(resume=resume, hooks=hooks) as started:
            codes = started.wait()
            assert codes == [0] * self.processes, started.output
            return started.output

    def copy(self, folder: Path, after: int) -> Journey:
        """Another run that is where this one was after an iteration."""
        other = replace(self, folder=folder)
        shutil.copytree(self.run, other.run)
        for name in other.checkpoints:
            if int(name) > after:
                shutil.rmtree(other.run / "checkpoints" / name)
        shutil.rmtree(other.run / "final")
        return other


def accelerate_launch(journey: Journey, *options: str) -> list[str | Path]:
    """The true command line that trains it, as its README says."""
    accelerate = [str(Path(sys.executable).with_name("accelerate")), "launch", *options]
    accelerate += ["--num_processes", str(journey.processes), "--num_machines", "1"]
    accelerate += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return [*accelerate, "-m", "ddpo", "train", journey.config, *journey.overrides]


def metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics, without times."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def differences(one: Journey, other: Journey) -> list[str]:
    """What is not the same in two runs, to the bit: metrics but for times, final weights."""
    rows, others = metrics(one.run), metrics(other.run)
    found = [] if len(rows) == len(others) else [f"{len(rows)} and {len(others)} rows of metrics"]
    for row, counterpart in zip(rows, others, strict=False):
        keys = [k for k in row | counterpart if row.get(k) != counterpart.get(k)]
        found += [f"{key} of iteration {row['iteration']}" for key in keys]
    weights, counterparts = final_weights(one), final_weights(other)
    if weights.keys() != counterparts.keys():
        found.append("the names of the final weights")
    return found + [
        f"final {name}"
        for name in weights.keys() & counterparts.keys()
        if not torch.equal(weights[name], counterparts[name])
    ]


def final_weights(journey: Journey) -> dict[str, torch.Tensor]:
    """All tensors of a run's `final/`, by file and name."""
    folder = journey.run / "final"
    return {
        f"{file.relative_to(folder)}:{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
