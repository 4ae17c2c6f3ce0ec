"""The command line, but for its journeys."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ddpo import load_config
from ddpo.__main__ import main, run
from rewards import timed

CONFIG = Path(__file__).parents[1] / "configs" / "ddpo_sd15_compressibility.yaml"


def test_config_prints_what_load_config_reads_with_the_arithmetic(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["config", str(CONFIG), "seed=7", "--processes", "2"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "again.yaml").write_text(printed)
    assert load_config(tmp_path / "again.yaml") == load_config(CONFIG, ["seed=7"])
    assert "# 256 samples an iteration = 256 prompts x 1 samples = 2 processes x 128" in printed
    assert "# 4 updates an iteration, each on 64 samples = 2 processes x 32 samples" in printed
    assert yaml.safe_load(printed)["seed"] == 7


@pytest.fixture(autouse=True)
def _no_threads_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` ends the whole program, tests included, while a thread that was left behind runs."""
    monkeypatch.setattr(timed, "_left_behind", [])


def test_a_thread_that_is_left_inside_torch_changes_no_exit_code() -> None:
    code = (
        "import itertools, torch; from ddpo.__main__ import leave; from rewards.timed import within"
        "\nx = torch.eye(200)"
        "\ntry: within(0.3, lambda: [x @ x for _ in itertools.count()])"
        "\nexcept TimeoutError: print('late', end='')"
        "\nleave(3)"
    )
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (left.returncode, left.stdout, left.stderr) == (3, "late", "")


def test_the_console_script_finds_rewards_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "reward_of_my_own.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "argv", ["ddpo", "config", str(CONFIG)])
    assert importlib.util.find_spec("reward_of_my_own") is None
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 0
    assert importlib.util.find_spec("reward_of_my_own") is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", str(CONFIG), "--processes", "0"],
        ["sample", "m", "--prompts", "p", "--num-steps", "0"],
    ],
    ids=["processes", "steps"],
)
def test_a_count_below_one_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "'0' is not a whole number of 1 or more" in capsys.readouterr().err


def test_a_long_prompt_and_a_folder_that_cannot_be_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "pictures"
    assert main(["sample", "shapes", "--prompts", "a " * 300, "--out", str(out)]) == 2
    assert f"--out: {out} cannot be made: Not a directory" in capsys.readouterr().err


def test_config_refuses_what_does_not_divide(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", str(CONFIG), "--processes", "3"]) == 2
    error = capsys.readouterr().err
    assert "256 samples do not divide" in error
    assert "252 or 264" in error


def test_doctor_reports_versions_devices_and_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    for expected in (
        "torch ",
        "cpu: ",
        "native: ",
        "shapes (embedded): complete",
        "jpeg_compress",
        "galleries as pictures:\n  matplotlib: ",
        "sandbox:",
    ):
        assert expected in report


def test_gallery_of_what_is_no_run_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["gallery", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
