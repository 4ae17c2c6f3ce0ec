"""One update of a language model and its critic, however it is divided: among network passes,
actions, chunks of the vocabulary, and processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.updates import count_updates
from tests.support.processes import fork

CONFIG = """
name: run
seed: 3
policy: {{kind: text, model: {model}, max_length: 8, missing_eos_penalty: 0.5}}
prompts: {{file: {prompts}}}
rewards: {{length: {{target: 5, unit: characters}}}}
algorithm: {{kind: ppo, entropy_coef: 0.1, critic: {{coef: 0.5}}}}
train: {{iterations: 1, samples_per_iteration: 8, updates_per_iteration: 1}}
"""

WHOLE = Division(micro_batch=8, actions=8)
DIVISIONS = [
    WHOLE,
    Division(micro_batch=1, actions=8),
    Division(micro_batch=2, actions=8),
    Division(micro_batch=8, actions=3),
    Division(micro_batch=3, actions=1),
]
EXACT = 1e-9
COUNTINGS = pytest.mark.parametrize("counting", ["all", "dropped"])

Read = Callable[[str], Tensor]
Gradients = Callable[..., list[Read]]


@pytest.fixture(scope="module")
def config(
    language_models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The file of all these runs."""
    folder = tmp_path_factory.mktemp("text")
    prompts, file = folder / "prompts.txt", folder / "run.yaml"
    prompts.write_text("a\na blue square\na cat\n")
    file.write_text(CONFIG.format(model=language_models("gpt2"), prompts=prompts))
    return file


@pytest.fixture(scope="module")
def gradients(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Gradients:
    """What `write_gradients` writes, by rank, in fp64; made once for the same arguments."""
    made: dict[tuple, list[Read]] = {}

    def make(processes: int, *overrides: str) -> list[Read]:
        key = (processes, *overrides)
        if key not in made:
            out = tmp_path_factory.mktemp("gradients")
            divisions = DIVISIONS if not overrides else [WHOLE]
            arguments = (config, overrides, out, divisions, torch.float64)
            with fork(write_gradients, *arguments, cwd=out, count=processes) as started:
                assert started.wait() == [0] * processes, started.output
            made[key] = [read_gradients(out, rank) for rank in range(processes)]
        return made[key]

    return make


def error(one: Tensor, other: Tensor) -> float:
    """‖one − other‖ / ‖other‖."""
    assert other.norm() > 0
    return float((one - other).norm() / other.norm())


@COUNTINGS
def test_the_gradient_does_not_depend_on_passes(counting: str, gradients: Gradients) -> None:
    (read,) = gradients(1)
    whole = read(f"{counting}/{WHOLE}")
    for division in DIVISIONS[1:]:
        assert error(read(f"{counting}/{division}"), whole) < EXACT, division
    for part in ("value_head", "model.transformer.wte"):
        assert read(f"{counting}/{WHOLE}/{part}.weight").norm() > 0


@COUNTINGS
def test_nor_on_how_much_of_the_vocabulary_is_in_memory(
    counting: str, gradients: Gradients
) -> None:
    (whole,), (read,) = gradients(1), gradients(1, "policy.chunk=1")
    assert error(read(f"{counting}/{WHOLE}"), whole(f"{counting}/{WHOLE}")) < EXACT


@COUNTINGS
def test_nor_on_processes(counting: str, gradients: Gradients) -> None:
    whole = gradients(1)[0](f"{counting}/{WHOLE}")
    for read in gradients(2):
        for division in DIVISIONS:
            assert error(read(f"{counting}/{division}"), whole) < EXACT, division


def test_nor_do_samples(gradients: Gradients) -> None:
    """Nor what the critic and the reference policy say of them, nor their penalties."""
    (alone,), (first, second) = gradients(1), gradients(2)
    for kind in ("completion_ids", "log_probs", "values", "ref_log_probs", "penalty"):
        whole = alone(f"{kind}/8")
        for size in (8, 3, 1):
            together = torch.cat([first(f"{kind}/{size}"), second(f"{kind}/{size}")])
            assert error(alone(f"{kind}/{size}"), whole) < 1e-12, kind
            assert error(together, whole) < 1e-12, kind


def test_a_dropped_sample_changes_the_gradient(gradients: Gradients) -> None:
    (read,) = gradients(1)
    assert error(read(f"dropped/{WHOLE}"), read(f"all/{WHOLE}")) > 0.05


def test_updates_end_once_the_policy_is_too_far(config: Path, tmp_path: Path) -> None:
    """That is known after the update that finds it so; the first of them is where it sampled."""
    found = []
    overrides = (
        "algorithm={kind: ddpo}",
        "train.updates_per_iteration=2",
        "train.sample_uses=3",
        "train.learning_rate=3e-4",
    )
    for processes in (1, 2):
        out = tmp_path / str(processes)
        arguments = (config, overrides, out, [None, 1e-12, 4e-3, 1e9])
        with fork(count_updates, *arguments, cwd=out, count=processes) as started:
            assert started.wait() == [0] * processes, started.output
        found += [json.loads((out / f"{rank}.json").read_text()) for rank in range(processes)]
    for each in found:
        assert [updates for updates, _ in each] == [updates for updates, _ in found[0]]
        assert [kl for _, kl in each] == pytest.approx([kl for _, kl in found[0]], rel=1e-3)
    never, soon, later, last = (updates for updates, _ in found[0])
    assert (never, soon, last) == (6, 2, 6)
    assert 2 < later < 6
