"""How different samples are from each other, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ddpo.gallery import write_gallery
from ddpo.gallery.diversity import Diversity, diversity
from ddpo.gallery.kinds import COMPLETIONS, PICTURES
from ddpo.gallery.pictures import PictureFile
from ddpo.gallery.run_folder import read_run
from ddpo.gallery.texts import Completion
from ddpo.gallery.verdicts import collapse
from tests.gallery import made_up


def _halves(path: Path, left: str, right: str) -> PictureFile:
    """A picture of two colours."""
    image = Image.new("RGB", (64, 64), left)
    image.paste(right, (32, 0, 64, 64))
    image.save(path)
    return PictureFile(path)


@pytest.fixture
def one(tmp_path: Path) -> PictureFile:
    return _halves(tmp_path / "one.png", "black", "white")


@pytest.fixture
def other(tmp_path: Path) -> PictureFile:
    return _halves(tmp_path / "other.png", "white", "black")


def test_every_pixel_of_opposite_pictures_differs_by_one(one: PictureFile, other: PictureFile):
    assert PictureFile.diversity([one, other]) == pytest.approx(1.0)
    # Of three pairs one is alike: a mean square of 2/3.
    assert PictureFile.diversity([one, one, other]) == pytest.approx((2 / 3) ** 0.5)


def test_empty_pictures_are_alike_whatever_their_colour(tmp_path: Path):
    empty = [_halves(tmp_path / f"{c}.png", c, c) for c in ("navy", "white", "gray")]
    assert PictureFile.diversity(empty) == pytest.approx(0.0)


def test_what_cannot_be_read_does_not_count(tmp_path: Path, one: PictureFile, other: PictureFile):
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n")
    unusable = [PictureFile(tmp_path / "damaged.png"), PictureFile(None)]
    assert PictureFile.diversity([one, *unusable, other]) == pytest.approx(1.0)
    assert PictureFile.diversity([one, *unusable]) is None


def test_texts_by_their_pairs_of_words():
    # a b, b c, a b, b d: three of four are new.
    assert Completion.diversity([Completion("a b c"), Completion("a b\nd")]) == 0.75
    assert Completion.diversity([Completion("a b c"), Completion("a b c")]) == 0.5
    assert Completion.diversity([Completion(""), Completion("one")]) == 0.0
    assert Completion.diversity([Completion("a b c")]) is None


def _run(path: Path, *texts: list[str]) -> Path:
    for iteration, written in enumerate(texts):
        entries = [made_up.text_sample(text) for text in written]
        made_up.write_samples(path, iteration, entries)
    return path


def test_the_base_is_compared_with_the_newest_of_as_many_samples(tmp_path: Path):
    run = _run(tmp_path, ["a b c", "d e f", "a b c"], ["x y"], ["a b c", "a b c"])
    assert diversity(read_run(run)) == Diversity(before=1.0, after=0.5)


def test_nothing_is_said_where_there_is_nothing_to_compare(tmp_path: Path):
    assert diversity(read_run(_run(tmp_path / "base", ["a b c", "d e f"]))) is None
    assert diversity(read_run(_run(tmp_path / "single", ["a b c"], ["a b c"]))) is None


@pytest.mark.parametrize("kind", [PICTURES, COMPLETIONS])
def test_a_collapse_is_said_below_half(kind):
    assert collapse(Diversity(0.4, 0.2), kind) == ()
    assert collapse(None, kind) == ()
    (said,) = collapse(Diversity(0.4, 0.19), kind)
    told = f"Diversity fell from 0.400 to 0.190: {kind.several} of different prompts and seeds "
    assert said == f"{told}become alike: this run is collapsing."
    (said,) = collapse(Diversity(0.4, 0.039), kind)
    assert said.endswith("have become alike: this run has collapsed.")


def test_the_page_says_it(tmp_path: Path):
    run = _run(tmp_path, ["a b c d e", "f g h i j"], ["a a a a a", "a a a a a"])
    page = write_gallery(run).read_text(encoding="utf-8")
    # 8 pairs, all new; of 8, one.
    assert "1.000" in page
    assert "Diversity fell from 1.000 to 0.125" in page
    assert "12% of the base&#x27;s" in page or "12% of the base's" in page
