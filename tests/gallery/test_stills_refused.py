"""Galleries as pictures: what is refused in one line, and what hostile texts cannot do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ddpo.__main__ import main
from ddpo.gallery import write_animation, write_figure, write_strip
from ddpo.gallery.stills import writing
from ddpo.gallery.stills.lettering import BODY, TITLE, drawable, fitted, text_width, wrapped
from tests.gallery import made_up
from tests.gallery.test_stills import said, write_colours

__all__ = ["said"]  # a fixture

HOSTILE = (
    "$\\frac{1}{$ \u202egnp.exe\u202c $x_2$\n\nnew\tline <b>",
    "x" * 100_000,
    "漢字 \ud800 \x00 \x1b[31m שלום",
    "e" + "\u0301" * 100_000,
    "\u200b",
)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("runs") / "coloured")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command is refused."""
    try:
        code = main(["gallery", *arguments])
    except SystemExit as left:
        code = left.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--strip", "--animation"], "--animation: not allowed with argument --strip"),
        (["--format", "png", "--strip"], "--strip: not allowed with argument --format"),
        (["--format", "svg"], "'svg'"),
        (["--row", "2"], "--row: only with --animation; add that"),
        (["--strip", "--row", "2"], "--row: only with --animation; add that"),
        (["--animation", "--row", "0"], "'0' is not a whole number of 1 or more"),
        (["--animation", "--row", "4"], "--row: there is no row 4: name one from 1 to 3"),
        (["--animation", "--out", "a.gif"], "--out: a.gif is no .webp file: name one, such as"),
        (["--strip", "--out", "a"], "--out: a is no .png file: name one, such as strip.png"),
        (["--format", "png", "--out", "."], "--out: . is a folder: name a file, such as"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str],
    expected: str,
    coloured: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(coloured)
    assert expected in refused([str(coloured), *arguments], capsys)
    assert files(coloured) == before
    assert files(tmp_path) == {}


@pytest.mark.parametrize("option", ["--strip", "--animation"])
def test_so_are_runs_that_have_no_two_pictures(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = made_up.write_text_run(tmp_path / "text")
    line = refused([str(text), option], capsys)
    assert f"{option}: {text} is a run of texts" in line
    assert "--format png" in line
    one = write_colours(tmp_path / "one", (0,))
    made_up.write_samples(one, 5, [])
    assert "has those of base alone: train on" in refused([str(one), option], capsys)
    none = tmp_path / "none"
    made_up.write_config(none)
    assert "has none: train on" in refused([str(none), option], capsys)
    assert "is not a run folder" in refused([str(tmp_path), option], capsys)


def test_without_matplotlib_a_line_says_how_to_get_it(
    coloured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writing, "find_spec", lambda name: None)
    for option in (["--format", "png"], ["--strip"], ["--animation"]):
        line = refused([str(coloured), *option], capsys)
        assert "matplotlib" in line
        assert line.endswith("is not installed: pip install 'ddpo[figures]'")
    assert not list(coloured.glob("*.*"))


def test_the_command_writes_beside_the_gallery_or_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_colours(tmp_path / "run")
    for arguments, name in (
        (["--format", "png"], "gallery.png"),
        (["--strip"], "strip.png"),
        (["--animation"], "animation.webp"),
    ):
        assert main(["gallery", str(run), *arguments]) == 0
        assert capsys.readouterr().out.strip() == str(run / name)
    out = tmp_path / "figures" / "One.PNG"
    assert main(["gallery", str(run), "--strip", "--out", str(out)]) == 0
    assert out.read_bytes() == (run / "strip.png").read_bytes()
    assert main(["gallery", str(run), "--out", str(run / "gallery")]) == 0


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_colours(tmp_path / "run")
    write_strip(run)
    before = files(run)
    write_colours(run, (0, 5))
    (run / "samples/000010/index.json").unlink()
    changed = files(run)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "cannot be written: [Errno 28]" in refused([str(run), "--strip"], capsys)
    assert files(run) == changed
    assert changed["strip.png"] == before["strip.png"]


def test_hostile_texts_are_shown_as_text(tmp_path: Path, said: list[str]) -> None:
    name = "$\\alpha$" + "n" * 5000
    made_up.write_config(tmp_path, name=name)
    made_up.write_metrics(
        tmp_path, [{"iteration": at, "reward/mean": 1e300 * at, "watch/$w": -at} for at in (1, 2)]
    )
    for iteration in (0, 5):
        entries = [made_up.sample(p, 1e300, watch={"$w": -1e300}) for p in HOSTILE]
        made_up.write_samples(tmp_path, iteration, entries)
    write_figure(tmp_path)
    write_strip(tmp_path)
    for row in (1, 4, 5):
        write_animation(tmp_path, row=row)
    assert any(line.startswith("$\\frac{1}{$ gnp.exe $x_2$ new") for line in said)
    assert "(empty prompt)" in said
    assert "1e+300" in said
    assert max(map(len, said)) < 200
    assert not [line for line in said if not line.isprintable()]


def test_hostile_completions_are_shown_as_text(tmp_path: Path, said: list[str]) -> None:
    for iteration in (0, 5):
        entries = [made_up.text_sample(p, p, columns={"reference": p}) for p in HOSTILE]
        entries += [made_up.text_sample("\n".join([" " * 999 + "$x" * 99] * 99), "many")]
        made_up.write_samples(tmp_path, iteration, entries)
    with Image.open(write_figure(tmp_path)) as figure:
        assert figure.height < 2000
    assert "$\\frac{1}{$ gnp.exe $x_2$" in said


def test_what_the_font_does_not_have_becomes_a_sign() -> None:
    assert drawable("a\tb\n c\u202e", BODY) == "a b c"
    assert drawable("é€→😀 漢\x00\ud800", BODY) == "é€→😀 \ufffd\ufffd\ufffd"
    assert drawable("a" + "\u0323" * 9, BODY) == drawable("a" + "\u0323" * 2, BODY)
    assert len(drawable("a " * 100_000, BODY)) <= 1000


@pytest.mark.parametrize("text", ["one two three four five six", "x" * 300, "W W W W W W W"])
@pytest.mark.parametrize("room", [90, 200])
def test_lines_fit_and_say_where_they_are_cut(text: str, room: int) -> None:
    lines = wrapped(text, BODY, room, most=3)
    assert len(lines) <= 3
    assert all(text_width(line, BODY) <= room for line in lines)
    shown = "".join(lines).replace(" ", "")
    assert text.replace(" ", "").startswith(shown.removesuffix("…"))
    assert shown.endswith("…") == (shown != text.replace(" ", ""))


def test_lines_end_between_words_and_a_room_of_nothing_holds_a_letter() -> None:
    assert wrapped("aaaa bbbb cccc", BODY, text_width("aaaa bbbb", BODY), most=5) == [
        "aaaa bbbb",
        "cccc",
    ]
    assert wrapped("ab", BODY, 1, most=5) == ["a", "b"]
    assert wrapped("", BODY, 1, most=5) == [""]
    assert fitted("short", TITLE, 1000) == "short"
