"""Runs that several journeys compare themselves with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ddpo.__main__ import main
from tests.journeys.journey import Journey

CONFIG = """
name: run
seed: 3
policy: {{kind: diffusion, model: {model}, num_steps: 4, guidance_scale: 3.0}}
prompts: {{file: {prompts}}}
rewards: {{"tests.journeys.noisy:Noisy": 1.0}}
algorithm: {{kind: ddpo, advantages: per_prompt, min_count: 2, kl_coef: 0.1, kl_target: 0.01,
  kl_horizon: 50}}
train: {{iterations: 3, samples_per_iteration: 8, updates_per_iteration: 2, learning_rate: 1e-3,
  lr_schedule: cosine, warmup_updates: 3, ema_decay: 0.9, sample_batch_size: 4,
  micro_batch_size: 4, actions_per_pass: 2}}
evaluation: {{every: 2, samples: 2}}
checkpoint: {{every: 1, keep: 9}}
"""
"""Everything that is saved matters here: averages, schedule, statistics, KL, random states."""

LORA = "lora={rank: 2, alpha: 4}"

Refused = Callable[..., str]


@pytest.fixture(scope="session")
def config_file(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of most journeys."""
    folder = tmp_path_factory.mktemp("config")
    prompts = folder / "prompts.txt"
    prompts.write_text("a red circle\na blue square\na cat\n")
    config = folder / "run.yaml"
    config.write_text(CONFIG.format(model=tiny_model, prompts=prompts))
    return config


@pytest.fixture(scope="session")
def uninterrupted(
    config_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Journey]:
    """A finished run with so many processes: all weights with one, a LoRA with two."""
    finished: dict[int, Journey] = {}

    def run(processes: int) -> Journey:
        if processes not in finished:
            folder = tmp_path_factory.mktemp(f"uninterrupted-{processes}")
            overrides = (LORA,) if processes > 1 else ()
            journey = Journey(folder, config_file, overrides, processes)
            journey.finish()
            finished[processes] = journey
        return finished[processes]

    return run


@pytest.fixture
def refused(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Refused:
    """What `ddpo train` says to overrides that are bad input: checked to be all that happens."""
    monkeypatch.chdir(tmp_path)

    def refuse(*overrides: str, command: Sequence[str] = ("train",), lines: int = 1) -> str:
        before = sorted(tmp_path.rglob("*"))
        capfd.readouterr()
        assert main([*command, str(config_file), *overrides]) == 2
        printed = capfd.readouterr()
        said = [line for line in printed.err.splitlines() if not line.startswith("  ")]
        assert len(said) == 1, printed.err
        assert said[0].startswith("ddpo: ")
        assert len(printed.err.splitlines()) == lines, printed.err
        assert printed.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err

    return refuse
