"""A run that is watched: an edition for each change, and none without."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpo.gallery import serving, write_gallery
from ddpo.gallery.run_folder import NotARunError
from ddpo.gallery.watching import Edition, Watch
from tests.gallery import made_up


def looked(watch: Watch) -> Edition:
    """The edition there is after another look."""
    watch.look()
    assert watch.edition is not None
    return watch.edition


def test_every_change_makes_an_edition_and_stamps_what_changed(tmp_path: Path) -> None:
    made_up.write_config(tmp_path)
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    watch = Watch(tmp_path)
    first = looked(watch)
    assert looked(watch) is first
    made_up.write_metrics(tmp_path, [{"iteration": 1, "reward/mean": 1.0}])
    second = looked(watch)
    assert second.data == first.data
    made_up.write_samples(tmp_path, 10, [made_up.sample()])
    third = looked(watch)
    assert third.data.keys() == {"summary", "000000", "000010"}
    assert third.data["000000"] == first.data["000000"]
    assert third.data["summary"] != first.data["summary"]
    made_up.write_config(tmp_path, iterations=50)
    fourth = looked(watch)
    (tmp_path / "starts.jsonl").write_text("{}\n")
    made = [each.version for each in (first, second, third, fourth, looked(watch))]
    assert len(set(made)) == 5
    assert looked(Watch(tmp_path)).version not in made


def test_what_is_written_while_it_is_read_is_seen_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    watch = Watch(tmp_path)

    def late(run: Path, out: Path | None) -> Path:
        written = write_gallery(run, out)
        made_up.write_samples(tmp_path, 10, [made_up.sample()])
        return written

    monkeypatch.setattr("ddpo.gallery.watching.write_gallery", late)
    assert "000010" not in looked(watch).data
    monkeypatch.undo()
    assert "000010" in looked(watch).data


def test_a_failure_is_said_once_tried_again_and_shows_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    watch = Watch(tmp_path)
    first = looked(watch)
    made_up.write_samples(tmp_path, 10, [made_up.sample()])

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ddpo.gallery.watching.write_gallery", full)
    for _ in range(3):
        serving._look_again(watch)
    assert watch.edition is first
    assert watch.problem
    said = capfd.readouterr().err
    assert said.count("\n") == said.count("No space left on device") == 1
    monkeypatch.undo()
    serving._look_again(watch)
    assert watch.edition is not first
    assert watch.problem == ""


def test_a_run_is_waited_for_and_may_go(tmp_path: Path) -> None:
    run = tmp_path / "run"
    watch = Watch(run)
    with pytest.raises(NotARunError):
        watch.look()
    serving._look_again(watch)
    assert watch.edition is None
    assert watch.problem == ""
    made_up.write_config(run)
    shown = looked(watch)
    (run / "config.yaml").unlink()
    serving._look_again(watch)
    assert watch.edition is shown
