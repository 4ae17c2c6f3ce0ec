"""A gallery of several runs as a folder: what is written, what is left, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from ddpo.__main__ import main
from ddpo.errors import UserError
from ddpo.gallery import whole_file, write_comparison, write_gallery
from tests.gallery import made_up
from tests.gallery.test_folder import listed, registered

OWN = re.compile(
    r"index\.html|gallery\.(css|js)|data/(runs|[1-8]/(summary|\d{6}))\.js"
    r"|thumbs/[1-8]/\d{6}/\d{4}\.webp|pictures/[1-8]/\d{6}/\d{4}\.png"
)


def small_run(folder: Path, iterations: tuple[int, ...] = (0, 5), prompt: str = "a cat") -> Path:
    """A run of one picture an iteration."""
    for iteration in iterations:
        made_up.write_samples(folder, iteration, [made_up.sample(prompt)])
    return folder


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [small_run(tmp_path / "runs" / name) for name in ("a", "b")]


def test_each_run_has_the_layout_of_one_in_a_part_of_its_own(
    two: list[Path], tmp_path: Path
) -> None:
    page = write_comparison(two, tmp_path / "out")
    assert page == tmp_path / "out" / "index.html"
    of_each = ["data/{}/000000.js", "data/{}/000005.js", "data/{}/summary.js"]
    of_each += [f"pictures/{{}}/{iteration}/0000.png" for iteration in ("000000", "000005")]
    of_each += [f"thumbs/{{}}/{iteration}/0000.webp" for iteration in ("000000", "000005")]
    own = ["data/runs.js", "gallery.css", "gallery.js", "index.html"]
    assert sorted(listed(page.parent)) == sorted(
        own + [name.format(number) for name in of_each for number in (1, 2)]
    )
    text = (page.parent / "data/2/000005.js").read_text("ascii")
    assert text.startswith('ddpoData("2/000005",')


def test_a_run_of_its_own_and_one_beside_another_have_the_same_data(
    two: list[Path], tmp_path: Path
) -> None:
    together = write_comparison(two, tmp_path / "out").parent
    alone = write_gallery(two[1]).parent
    text = (alone / "data/000005.js").read_text("ascii")
    assert (together / "data/2/000005.js").read_text("ascii") == text.replace("000005", "2/000005")


def test_a_second_time_only_what_is_new_is_written(two: list[Path], tmp_path: Path) -> None:
    out = write_comparison(two, tmp_path / "out").parent
    before = listed(out)
    write_comparison(two, out)
    assert listed(out) == before
    small_run(two[1], iterations=(10,))
    write_comparison(two, out)
    after = listed(out)
    assert {name for name in after if after[name] != before.get(name)} == {
        "index.html",
        "data/2/summary.js",
        "data/2/000010.js",
        "pictures/2/000010/0000.png",
        "thumbs/2/000010/0000.webp",
    }


def test_what_belongs_to_runs_or_iterations_that_are_gone_goes(
    two: list[Path], tmp_path: Path
) -> None:
    third = small_run(tmp_path / "runs" / "c")
    out = write_comparison([*two, third], tmp_path / "out").parent
    shutil.rmtree(two[0] / "samples/000005")
    write_comparison(two, out)
    assert not [name for name in listed(out) if "/3/" in name or "/1/000005" in name]
    assert "pictures/2/000005/0000.png" in listed(out)


def test_a_folder_changes_from_one_run_to_several_and_back(two: list[Path], tmp_path: Path) -> None:
    out = write_gallery(two[0], tmp_path / "out").parent
    alone = set(listed(out))
    together = set(listed(write_comparison(two, out).parent))
    assert together == set(listed(write_comparison(two, tmp_path / "other").parent))
    write_gallery(two[0], out)
    assert set(listed(out)) == alone


def test_pictures_of_runs_that_change_places_are_their_own(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("a", "b")]
    for run, colour in zip(runs, ("red", "blue"), strict=True):
        made_up.write_samples(run, 0, [made_up.sample()], [Image.new("RGB", (8, 8), colour)])
    out = write_comparison(runs, tmp_path / "out").parent
    write_comparison(runs[::-1], out)
    with Image.open(out / "thumbs/1/000000/0000.webp") as small:
        assert small.convert("RGB").getpixel((0, 0)) == (0, 0, 255)
    assert (out / "pictures/1/000000/0000.png").samefile(runs[1] / "samples/000000/0000.png")


def test_a_page_that_cannot_be_written_leaves_the_older_one(
    two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_comparison(two, tmp_path / "out")
    before = page.read_bytes()
    small_run(two[0], iterations=(10,))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_comparison(two, page.parent)
    assert page.read_bytes() == before
    assert len(registered(page.parent, "1/summary")["iterations"]) == 2
    assert not list(page.parent.rglob(".*"))


def test_names_of_runs_are_no_paths(tmp_path: Path) -> None:
    runs = []
    for index, name in enumerate(("../../up", "<script>alert(1)</script>", "a/b\x00")):
        run = small_run(tmp_path / str(index))
        made_up.write_config(run, name=name)
        runs.append(run)
    out = write_comparison(runs, tmp_path / "out").parent
    assert all(OWN.fullmatch(name) for name in listed(out))
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2", "out"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "b", "../runs/a"], "RUN: runs/a is named twice"),
        (["a", "texts"], "RUN: runs/a has pictures, runs/texts completions: name runs of one kind"),
        (["a"], "RUN: 1 given: name from 2 to 8 runs"),
        (["a"] * 9, "RUN: 9 given: name from 2 to 8 runs"),
        (["a", "absent"], "there is no such folder"),
    ],
)
def test_runs_that_cannot_stand_side_by_side_are_refused(
    names: list[str], said: str, two: list[Path], tmp_path: Path
) -> None:
    made_up.write_samples(two[0].parent / "texts", 0, [made_up.text_sample("t")])
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        write_comparison([two[0].parent / name for name in names], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_refused_and_left(
    two: list[Path], tmp_path: Path
) -> None:
    before = listed(tmp_path)
    with pytest.raises(UserError, match=r"^--out: .* holds samples"):
        write_comparison(two, two[0])
    assert listed(tmp_path) == before


def test_the_command_asks_for_a_folder_and_writes_there(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(run) for run in two]
    before = listed(tmp_path)
    assert main(["gallery", *runs]) == 2
    said = capsys.readouterr().err
    assert said == "ddpo: --out: not given; name the folder for the gallery of these 2 runs\n"
    assert listed(tmp_path) == before
    out = tmp_path / "out"
    assert main(["gallery", runs[0], "--out", str(out), runs[1]]) == 0
    assert capsys.readouterr().out.strip() == str(out / "index.html")
    assert not (two[0] / "gallery").exists()
    for form, why in ((["--strip"], "a picture is of one"), (["--serve"], "--serve shows one")):
        assert main(["gallery", *runs, *form]) == 2
        assert f"RUN: 2 are named, and {why}: name one of them" in capsys.readouterr().err
