"""What a run says of the code and the hardware it was started with."""

from __future__ import annotations

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import torch

from ddpo import starts
from ddpo.gallery.reproducing import reproducing
from ddpo.gallery.run_folder import read_run
from tests.gallery import made_up

CPU = torch.device("cpu")


def test_each_start_is_a_line(tmp_path: Path) -> None:
    starts.record_start(tmp_path, CPU, 1)
    starts.record_start(tmp_path, CPU, 4)
    first, second = starts.read_starts(tmp_path)
    assert (first["processes"], second["processes"]) == (1, 4)
    assert first["version"] == metadata.version("ddpo")
    assert first["torch"] == metadata.version("torch")
    assert first["hardware"].endswith("cores")
    assert starts.hardware(torch.device("mps")) == f"mps of {first['hardware']}"


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    starts.record_start(tmp_path, CPU, 1)
    with (tmp_path / starts.FILE).open("a") as file:
        file.write('{"date": "20')
    assert len(starts.read_starts(tmp_path)) == 1
    assert starts.read_starts(tmp_path / "nowhere") == ()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_package_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=n", "-c", "user.email=e"]
        command = ["git", *names, *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).strip()

    package = tmp_path / "package.py"
    monkeypatch.setattr(starts, "PACKAGE", tmp_path)
    monkeypatch.setattr(starts, "__file__", str(package))
    assert starts.commit() is None
    git("init", "--quiet")
    package.write_text("one")
    (tmp_path / "other").write_text("the user's own")
    git("add", "other")
    git("commit", "--quiet", "--message", "m")
    assert starts.commit() is None
    git("add", "package.py")
    git("commit", "--quiet", "--message", "m")
    (tmp_path / "other").write_text("changed, and no code")
    assert starts.commit() == git("rev-parse", "HEAD")
    package.write_text("two")
    assert starts.commit() == f"{git('rev-parse', 'HEAD')} and changes"


def test_the_page_says_how_to_make_the_run_again(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    made_up.write_config(run)
    assert "not recorded: this run has no starts.jsonl" in reproducing(read_run(run))
    line = (
        '{"date": "2026-01-0%d", "version": "1.2", "commit": "abc", "python": "3.11", '
        '"torch": "2.9", "hardware": "a <big> device", "processes": 2}\n'
    )
    (run / starts.FILE).write_text(line % 1 + line % 2)
    said = reproducing(read_run(run))
    for words in (
        "ddpo train runs/mine/config.yaml output_dir=again",
        "ddpo 1.2, commit abc",
        "a &lt;big&gt; device, 2 processes",
        "on 2026-01-01, resumed on 2026-01-02",
    ):
        assert words in said
