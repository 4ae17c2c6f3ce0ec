"""The gallery as a folder: what is written, what is left, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from ddpo.__main__ import main
from ddpo.errors import UserError
from ddpo.gallery import thumbnails, write_gallery
from ddpo.gallery.data import as_script
from tests.gallery import made_up


def listed(folder: Path) -> dict[str, int]:
    """Every file of a folder, by its path in it, with the time it was written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in files}


def registered(gallery: Path, name: str) -> dict:
    """What a data file registers."""
    text = (gallery / "data" / f"{name}.js").read_text("ascii")
    assert text.startswith(f'ddpoData("{name}",')
    return json.loads(text[text.index(",") + 1 : -3])


def test_a_gallery_has_a_page_its_data_and_its_pictures(tmp_path: Path) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample("a"), made_up.sample("b")])
    made_up.write_samples(tmp_path, 30, [made_up.sample("a")])
    page = write_gallery(tmp_path)
    assert page == tmp_path / "gallery" / "index.html"
    assert sorted(listed(page.parent)) == [
        "data/000000.js",
        "data/000030.js",
        "data/summary.js",
        "gallery.css",
        "gallery.js",
        "index.html",
        "pictures/000000/0000.png",
        "pictures/000000/0001.png",
        "pictures/000030/0000.png",
        "thumbs/000000/0000.webp",
        "thumbs/000000/0001.webp",
        "thumbs/000030/0000.webp",
    ]


def test_data_are_in_columns(tmp_path: Path) -> None:
    columns = {"reference": "r"}
    entries = [
        made_up.text_sample("t", "p", 0.123456789, watch={"w": None}, columns=columns),
        made_up.text_sample("u", "q", 2.0, watch={"w": 1.0}),
        made_up.text_sample("v", "p", 3.0, columns=columns),
    ]
    made_up.write_samples(tmp_path, 0, entries)
    gallery = write_gallery(tmp_path).parent
    assert registered(gallery, "000000") == {
        "iteration": 0,
        "prompts": [["p", "r"], ["q", None]],
        "prompt": [0, 1, 0],
        "values": [[0.123457, 2.0, 3.0], [None, 1.0, None]],
        "texts": ["t", "u", "v"],
        "absent": [],
    }
    summary = registered(gallery, "summary")
    assert summary["measures"] == [
        {"name": "reward", "section": "total", "decimals": 3},
        {"name": "w", "section": "watch", "decimals": 3},
    ]
    assert summary["iterations"] == [{"iteration": 0, "heading": "base"}]
    assert summary["size"] is None


def test_a_total_of_several_rewards_comes_with_its_parts(tmp_path: Path) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample("a", 3.0, rewards={"x": 1.0, "y": 2.0})])
    gallery = write_gallery(tmp_path).parent
    assert [each["name"] for each in registered(gallery, "summary")["measures"]] == [
        "reward",
        "x",
        "y",
    ]
    assert registered(gallery, "000000")["values"] == [[3.0], [1.0], [2.0]]


def test_data_end_no_script_and_no_line() -> None:
    hostile = "</script><!-- \u2028\u2029 \ud800 é"
    script = as_script("summary", {hostile: hostile})
    assert script.isascii()
    assert "<" not in script
    assert script.count("\n") == 1
    assert json.loads(script[len('ddpoData("summary",') : -3]) == {hostile: hostile}


def test_small_pictures_lose_nothing_and_large_ones_are_made_small(tmp_path: Path) -> None:
    noise = Image.effect_noise((64, 48), 90).convert("RGB")
    large = Image.new("RGB", (512, 384), "blue")
    made_up.write_samples(tmp_path, 0, [made_up.sample(), made_up.sample()], [noise, large])
    gallery = write_gallery(tmp_path).parent
    with Image.open(gallery / "thumbs/000000/0000.webp") as small:
        assert small.convert("RGB").tobytes() == noise.tobytes()
    with Image.open(gallery / "thumbs/000000/0001.webp") as small:
        assert small.size == (256, 192)
    assert registered(gallery, "summary")["size"] == [64, 48]


def test_a_second_time_only_what_is_new_is_written(tmp_path: Path) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample("a"), made_up.sample("b")])
    gallery = write_gallery(tmp_path).parent
    before = listed(gallery)
    write_gallery(tmp_path)
    assert listed(gallery) == before
    changed = tmp_path / "samples/000000/0001.png"
    changed.unlink()
    Image.new("RGB", (64, 64), "blue").save(changed)
    made_up.write_samples(tmp_path, 5, [made_up.sample("a")])
    write_gallery(tmp_path)
    after = listed(gallery)
    new = {name for name in after if after[name] != before.get(name)}
    assert new == {
        "index.html",
        "data/summary.js",
        "data/000005.js",
        "pictures/000005/0000.png",
        "thumbs/000005/0000.webp",
        "pictures/000000/0001.png",
        "thumbs/000000/0001.webp",
    }
    with Image.open(gallery / "thumbs/000000/0001.webp") as small:
        assert small.convert("RGB").getpixel((9, 9)) == (0, 0, 255)


def test_what_the_run_no_longer_has_goes(tmp_path: Path) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    folder = made_up.write_samples(tmp_path, 5, [made_up.sample()])
    gallery = write_gallery(tmp_path).parent
    (folder / "index.json").unlink()
    write_gallery(tmp_path)
    assert not [name for name in listed(gallery) if "000005" in name]
    assert (gallery / "thumbs/000000/0000.webp").is_file()


def test_pictures_are_copied_where_they_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_file_system(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(thumbnails.os, "link", other_file_system)
    folder = made_up.write_samples(tmp_path, 0, [made_up.sample()])
    gallery = write_gallery(tmp_path).parent
    copied = gallery / "pictures/000000/0000.png"
    assert copied.read_bytes() == (folder / "0000.png").read_bytes()
    assert not copied.samefile(folder / "0000.png")
    before = listed(gallery)
    write_gallery(tmp_path)
    assert listed(gallery) == before


def test_no_link_leads_out_of_the_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    run = tmp_path / "run"
    folder = made_up.write_samples(run, 0, [made_up.sample(), made_up.sample()])
    (folder / "0001.png").unlink()
    (folder / "0001.png").symlink_to(secret)
    gallery = write_gallery(run).parent
    assert registered(gallery, "000000")["absent"] == [1]
    assert not (gallery / "pictures/000000/0001.png").exists()


def test_a_damaged_picture_is_said_to_be_missing(tmp_path: Path) -> None:
    folder = made_up.write_samples(tmp_path, 0, [made_up.sample(), made_up.sample()])
    (folder / "0000.png").write_bytes((folder / "0000.png").read_bytes()[:60])
    gallery = write_gallery(tmp_path).parent
    assert registered(gallery, "000000")["absent"] == [0]
    assert [name for name in listed(gallery) if name.startswith("pictures")] == [
        "pictures/000000/0001.png"
    ]


def test_many_pictures_are_made_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "FEW", 3)
    monkeypatch.setattr(thumbnails, "BATCH", 2)
    pictures = [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(7)]
    entries = [made_up.sample() for _ in pictures]
    folder = made_up.write_samples(tmp_path, 0, entries, pictures)
    (folder / "0003.png").write_bytes(b"no picture")
    gallery = write_gallery(tmp_path).parent
    assert registered(gallery, "000000")["absent"] == [3]
    with Image.open(gallery / "thumbs/000000/0006.webp") as small:
        assert small.convert("RGB").getpixel((0, 0)) == (6, 0, 0)


def test_several_thousand_samples_are_one_short_page_and_one_file(tmp_path: Path) -> None:
    entries = [made_up.text_sample(f"text {i}", f"prompt {i % 10}", i) for i in range(4000)]
    made_up.write_samples(tmp_path, 0, entries)
    page = write_gallery(tmp_path)
    assert page.stat().st_size < 50_000
    data = registered(page.parent, "000000")
    assert len(data["prompts"]) == 10
    assert len(data["texts"]) == len(data["prompt"]) == len(data["values"][0]) == 4000
    assert (page.parent / "data" / "000000.js").stat().st_size < 40 * 4000


def test_a_gallery_killed_while_it_is_written_again_still_opens(tmp_path: Path) -> None:
    made_up.write_samples(tmp_path, 0, [made_up.sample("a")])
    gallery = write_gallery(tmp_path).parent
    page = (gallery / "index.html").read_bytes()
    noise = [Image.effect_noise((400, 400), 90).convert("RGB") for _ in range(60)]
    made_up.write_samples(tmp_path, 5, [made_up.sample("a") for _ in noise], noise)
    command = [sys.executable, "-m", "ddpo", "gallery", str(tmp_path)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not list(gallery.glob("thumbs/000005/*.webp")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (gallery / "index.html").read_bytes() == page
    assert registered(gallery, "summary")["iterations"] == [{"iteration": 0, "heading": "base"}]
    assert 0 < len(list(gallery.glob("thumbs/000005/*.webp"))) < 60
    for thumb in gallery.glob("thumbs/*/*.webp"):
        with Image.open(thumb) as image:
            image.load()
    write_gallery(tmp_path)
    assert len(registered(gallery, "summary")["iterations"]) == 2
    assert len([path for path in gallery.rglob("*.webp") if path.name[0] != "."]) == 61


@pytest.mark.parametrize("holds", ["a file", "something else", "the run"])
def test_a_folder_that_is_no_gallery_is_refused_and_left(holds: str, tmp_path: Path) -> None:
    run = made_up.write_samples(tmp_path / "run", 0, [made_up.sample()]).parents[1]
    out = run if holds == "the run" else tmp_path / "out"
    if holds == "a file":
        out.write_text("mine")
    elif holds == "something else":
        out.mkdir()
        (out / "thesis.pdf").write_text("mine")
    before = listed(tmp_path)
    with pytest.raises(UserError, match=r"^--out: ") as caught:
        write_gallery(run, out)
    assert "\n" not in str(caught.value)
    assert listed(tmp_path) == before


def test_what_somebody_put_beside_the_page_stays(tmp_path: Path) -> None:
    run = made_up.write_samples(tmp_path / "run", 0, [made_up.sample()]).parents[1]
    notes = write_gallery(run).parent / "notes.txt"
    notes.write_text("mine")
    write_gallery(run)
    assert notes.read_text() == "mine"


def test_the_command_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made_up.write_samples(tmp_path / "run", 0, [made_up.sample()]).parents[1]
    out = tmp_path / "page"
    assert main(["gallery", str(run), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "index.html")
    assert not (run / "gallery").exists()
    assert main(["gallery", str(run), "--out", str(out)]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made_up.write_samples(tmp_path / "run", 0, [made_up.sample()]).parents[1]
    run.chmod(0o555)
    assert main(["gallery", str(run)]) == 2
    run.chmod(0o755)
    assert capsys.readouterr().err.count("\n") == 1
