"""A tracker that is installed and cannot start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

import ddpo.run
from ddpo.__main__ import main
from ddpo.config.schema import Config
from ddpo.distributed import start_accelerator


def installed(config: Config) -> Accelerator:
    """What would be started if the tracker were there."""
    return start_accelerator(replace(config, tracker="none"))


def logged_out(*_: object, **__: object) -> None:
    raise RuntimeError("nobody is\nlogged in")


def test_a_new_run_leaves_nothing_behind_and_one_that_was_there_stays(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ddpo.run, "start_accelerator", installed)
    monkeypatch.setattr(Accelerator, "init_trackers", logged_out)
    command = ["train", str(config_file), "tracker=wandb"]
    assert main(command) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == "ddpo: tracker: wandb cannot start: nobody is logged in"
    assert not (tmp_path / "runs" / "run").exists()
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "config.yaml").write_text(resolved(command, capfd))
    assert main([*command, "--resume"]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == said
    assert (tmp_path / "runs" / "run" / "config.yaml").exists()


def resolved(command: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The whole configuration of a command, as a run's folder has it."""
    assert main(["config", *command[1:]]) == 0
    return capfd.readouterr().out
