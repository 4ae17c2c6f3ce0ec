"""How many processes a launch asked for, and whether they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpo import distributed
from ddpo.distributed import check_process_count, launched_processes
from ddpo.errors import UserError


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch):
    """Pretend that this process was started by a command line."""

    def pretend(command: str) -> None:
        monkeypatch.setattr(distributed, "_parent_command", command.split)

    pretend("sh")
    return pretend


@pytest.mark.parametrize(
    ("command", "processes"),
    [
        ("accelerate launch --num_processes 2 -m ddpo train run.yaml", 2),
        ("accelerate launch --num_processes=4 -m ddpo train run.yaml", 4),
        ("accelerate launch --num-processes 3 -m ddpo train run.yaml", 3),
        ("accelerate launch --num-processes=3 --cpu -m ddpo train run.yaml", 3),
        ("python bin/accelerate launch --cpu --num_processes 2 -m ddpo", 2),
        ("python -m accelerate.commands.accelerate_cli launch --num_processes 2 -m ddpo", 2),
        ("python -m accelerate.commands.launch --num_processes 2 -m ddpo", 2),
        ("accelerate-launch --num_processes 2 -m ddpo", 2),
        ("accelerate launch -m ddpo train run.yaml", None),
        ("accelerate launch --multi_gpu --num_machines 2 -m ddpo train run.yaml", None),
        ("accelerate test --num_processes 2", None),
        ("torchrun --nproc_per_node 2 -m ddpo train run.yaml", None),
        ("make launch --num_processes 2", None),
        ("sh", None),
        ("", None),
    ],
)
def test_a_command_line_says_how_many_processes_it_wants(
    command: str, processes: int | None
) -> None:
    assert launched_processes(command.split()) == processes


@pytest.mark.parametrize("option", ["--config_file {}", "--config-file {}", "--config_file={}"])
def test_so_does_a_configuration_file_of_accelerate(tmp_path: Path, option: str) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text("distributed_type: MULTI_CPU\nnum_processes: 3\n")
    launch = f"accelerate launch {option.format(file)}"
    assert launched_processes([*launch.split(), "-m", "ddpo"]) == 3
    assert launched_processes([*launch.split(), "--num_processes", "2", "-m", "ddpo"]) == 2
    file.write_text("distributed_type: 'NO'\n")
    assert launched_processes([*launch.split(), "-m", "ddpo"]) is None


@pytest.mark.parametrize(
    ("declared", "command", "running"),
    [
        (None, "sh", 1),
        (None, "sh", 8),
        (1, "sh", 1),
        (2, "accelerate launch --num_processes 2 -m ddpo", 2),
        (None, "accelerate launch --num_processes 2 -m ddpo", 2),
        (None, "accelerate launch -m ddpo", 1),
    ],
)
def test_as_many_as_were_asked_for_is_well(
    launched, declared: int | None, command: str, running: int
) -> None:
    launched(command)
    check_process_count(declared, running)


@pytest.mark.parametrize(
    ("declared", "command", "source", "asked"),
    [
        (2, "sh", "train.processes", 2),
        (None, "accelerate launch --cpu --num_processes 2 -m ddpo", "accelerate launch", 2),
        (1, "accelerate launch --cpu --num_processes 4 -m ddpo", "accelerate launch", 4),
        (3, "accelerate launch --num_processes 1 -m ddpo", "train.processes", 3),
    ],
)
def test_fewer_than_were_asked_for_is_refused_with_the_remedy(
    launched, declared: int | None, command: str, source: str, asked: int
) -> None:
    launched(command)
    with pytest.raises(UserError) as caught:
        check_process_count(declared, 1)
    message = str(caught.value)
    assert message.startswith(f"{source}: {asked} processes were asked for and 1 are running")
    assert f"accelerate launch --multi_gpu --num_processes {asked} --num_machines 1" in message


def test_more_than_were_asked_for_is_refused_too(launched) -> None:
    launched("accelerate launch --multi_gpu --num_processes 2 -m ddpo")
    with pytest.raises(UserError, match=r"train\.processes: 1 processes were asked for and 2 are"):
        check_process_count(1, 2)
