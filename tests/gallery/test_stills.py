"""Galleries as pictures: what stands where, to the pixel, and in which words."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from ddpo.gallery import write_animation, write_figure, write_strip
from ddpo.gallery.kinds import PICTURES
from ddpo.gallery.stills.animation import durations
from ddpo.gallery.stills.cells import fitting
from ddpo.gallery.stills.colours import light
from ddpo.gallery.stills.encoding import as_webp
from ddpo.gallery.stills.sheet import Sheet
from tests.gallery import made_up

PAGE = (0xFC, 0xFC, 0xFB)
COLOURS = {0: ("red", "lime", "blue"), 5: ("cyan", "magenta", "yellow"), 10: ("navy",) * 3}


def write_colours(run: Path, iterations: tuple[int, ...] = (0, 5, 10)) -> Path:
    """A run of three prompts whose pictures are of one colour each."""
    for iteration in iterations:
        entries = [made_up.sample(name, total) for total, name in enumerate("abc")]
        pictures = [Image.new("RGB", (64, 64), colour) for colour in COLOURS[iteration]]
        made_up.write_samples(run, iteration, entries, pictures)
    return run


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("runs") / "coloured")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_whole_run(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every line that is written on a sheet."""
    lines: list[str] = []
    write = Sheet.write

    def noted(self, x, y, words, *rest, **options):
        lines.extend([words] if isinstance(words, str) else words)
        return write(self, x, y, words, *rest, **options)

    monkeypatch.setattr(Sheet, "write", noted)
    return lines


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def rgb(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(colour)


def test_the_strip_has_the_base_above_and_the_newest_below(coloured: Path, tmp_path: Path) -> None:
    strip = opened(write_strip(coloured, tmp_path / "strip.png"))
    # Margins of 24, three pictures three times as large, and two gaps of 12; the rest are labels.
    left = strip.width - 24 - (3 * 192 + 2 * 12)
    for row, iteration in enumerate((0, 10)):
        for column, colour in enumerate(COLOURS[iteration]):
            x, y = left + column * 204, 24 + row * 204
            assert strip.getpixel((x, y)) == strip.getpixel((x + 191, y + 191)) == rgb(colour)
            assert strip.getpixel((x - 1, y)) == strip.getpixel((x, y + 192)) == PAGE


def test_the_strip_says_base_iteration_and_prompts(
    coloured: Path, tmp_path: Path, said: list[str]
) -> None:
    write_strip(coloured, tmp_path / "strip.png")
    assert said == ["base", "iteration 10", "a", "b", "c"]


def test_the_strip_is_of_the_first_five_prompts(
    whole: Path, tmp_path: Path, said: list[str]
) -> None:
    strip = opened(write_strip(whole, tmp_path / "strip.png"))
    assert said[:2] == ["base", "iteration 40"]
    assert "a red circle left of a" in said
    assert not [line for line in said if "cyan" in line]  # the sixth
    assert strip.width < 1300


def test_an_animation_has_a_frame_for_each_iteration(coloured: Path, tmp_path: Path) -> None:
    path = write_animation(coloured, tmp_path / "row.webp", row=2)
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (3, (424, 547))
        shown, colours = [], []
        for number in range(3):
            film.seek(number)
            film.load()
            shown.append(film.info["duration"])
            # Below a margin of 20, a line (ten points at 150 an inch, times 1.4) and a gap of 12.
            frame = film.convert("RGB")
            colours.append(frame.getpixel((20, 61)))
            assert colours[-1] == frame.getpixel((403, 444))
            assert frame.getpixel((19, 61)) == frame.getpixel((20, 60)) == PAGE
        assert film.info["loop"] == 0
    assert shown == [700, 700, 2500]
    assert colours == [rgb(COLOURS[iteration][1]) for iteration in (0, 5, 10)]


def test_a_line_grows_with_the_iterations(coloured: Path, tmp_path: Path) -> None:
    muted, rule = (rgb(light(PICTURES)[name]) for name in ("muted", "rule"))
    with Image.open(write_animation(coloured, tmp_path / "row.webp")) as film:
        for number, filled in enumerate((0, 192, 384)):
            film.seek(number)
            track = film.convert("RGB").crop((20, 459, 404, 460))
            assert [track.getpixel((x, 0)) for x in (2, 189, 194, 381)] == [
                muted if x < filled else rule for x in (2, 189, 194, 381)
            ]


def test_each_frame_says_its_iteration_and_reward(
    coloured: Path, tmp_path: Path, said: list[str]
) -> None:
    write_animation(coloured, tmp_path / "row.webp", row=3)
    assert said == [
        "c",
        *("base", "2.000", "reward"),
        *("iteration 5", "2.000", "reward"),
        *("iteration 10", "2.000", "reward"),
    ]


@pytest.mark.parametrize(("count", "each"), [(2, 700), (17, 700), (24, 500), (300, 40), (2000, 40)])
def test_many_frames_go_faster_and_the_last_one_is_held(count: int, each: int) -> None:
    assert durations(count) == [each] * (count - 1) + [2500]


@pytest.mark.parametrize(("side", "exact"), [(200, True), (500, False)])
def test_an_animation_that_would_be_large_is_encoded_with_loss(side: int, exact: bool) -> None:
    random = np.random.default_rng(0)
    frames = [Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(2)]
    with Image.open(BytesIO(as_webp(frames, [50, 50]))) as film:
        assert (film.convert("RGB").tobytes() == frames[0].tobytes()) == exact


def test_the_figure_has_the_pictures_three_times_as_large(coloured: Path, tmp_path: Path) -> None:
    figure = opened(write_figure(coloured, tmp_path / "figure.png"))
    counts = {colour: count for count, colour in figure.getcolors(1 << 24)}
    # 1500 pixels, less 250 for the prompt, leave three columns room for 256: four times 64.
    for iteration, colours in COLOURS.items():
        for colour in set(colours):
            assert counts[rgb(colour)] == 256 * 256 * colours.count(colour), iteration


def test_the_figure_of_a_run_says_what_the_page_says(
    whole: Path, tmp_path: Path, said: list[str]
) -> None:
    path = write_figure(whole, tmp_path / "figure.png")
    assert opened(path).width == 1600
    assert path.stat().st_size < 1_000_000
    for words in (
        "shapes-compressibility",
        "Fine-tuning shapes with DDPO towards jpeg_compressibility. All 40 iterations done, with "
        "5,120 samples and 3 min 52 s.",
        "−1.063 → −0.713",
        "watched, never optimised",
        "1.000 → 0.389",
        "−0.611, base → final, iteration 40",
        "base",
        "iteration 40, final",
        "a red circle left of a",
        "−1.181",
    ):
        assert words in said
    assert any(line.startswith("shapes_accuracy fell from 1.000") for line in said)


def test_the_curves_are_in_the_colours_of_the_page(tmp_path: Path) -> None:
    rows = [{"iteration": at, "reward/mean": at, "watch/w": -at} for at in range(1, 4)]
    made_up.write_metrics(tmp_path, rows)
    pixels = np.asarray(opened(write_figure(tmp_path)))
    # What rises is drawn from lower left to upper right; a card's rule in the colour is above.
    for tone, rises in (("reward", True), ("watch", False)):
        colour = rgb(light(PICTURES)[tone])
        ys, xs = np.nonzero((pixels[500:] == colour).all(axis=-1))
        assert (xs[ys.argmin()] > xs[ys.argmax()]) == rises
        assert np.ptp(ys) > 200


def test_the_figure_of_texts_is_a_table(tmp_path: Path, said: list[str]) -> None:
    run = made_up.write_text_run(tmp_path / "run")
    assert write_figure(run) == run / "gallery.png"
    for words in ("The cat sat at the Matte.", "Die Katze saß auf der Matte.", "(empty)"):
        assert words in said
    assert "    return total" in said
    assert "reference: Die Katze saß auf der Matte." in said
    assert said.count("iteration 40, final") == 1
    assert "iteration 10" not in said


def test_what_is_missing_is_a_gap_that_says_so(tmp_path: Path, said: list[str]) -> None:
    run = write_colours(tmp_path / "run")
    (run / "samples/000000/0000.png").write_bytes(b"\x89PNG\r\n")
    (run / "samples/000010/0001.png").unlink()
    strip = opened(write_strip(run))
    assert said.count("picture missing") == 2
    left = strip.width - 24 - (3 * 192 + 2 * 12)
    assert strip.getpixel((left + 20, 44)) == PAGE
    assert strip.getpixel((left + 204, 24)) == rgb("lime")
    write_figure(run)
    write_animation(run)
    assert said.count("picture missing") == 5
    made_up.write_samples(run, 15, [made_up.sample("a"), made_up.sample("of another run")])
    said.clear()
    write_strip(run)
    assert said.count("not there") == 2


def test_a_figure_says_what_a_run_does_not_have(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "config.yaml").write_text("name: '\u200b'")
    write_figure(tmp_path)
    assert "There are no sample pictures yet." in said
    assert "metrics.jsonl is missing: no iteration has ended yet." in said
    write_colours(tmp_path, (0,))
    said.clear()
    write_figure(tmp_path)
    assert said.count("base") == 1


@pytest.mark.parametrize(
    ("size", "side", "shown"),
    [
        ((64, 64), 192, (192, 192)),
        ((64, 48), 200, (192, 144)),
        ((192, 8), 192, (192, 8)),
        ((193, 193), 192, (192, 192)),
        ((1024, 512), 256, (256, 128)),
        ((4000, 1), 256, (256, 1)),
    ],
)
def test_small_pictures_are_a_whole_number_of_times_as_large(
    size: tuple[int, int], side: int, shown: tuple[int, int]
) -> None:
    noise = Image.effect_noise(size, 90).convert("RGB")
    fitted = fitting(noise, side)
    assert fitted.size == shown
    if shown[0] % size[0] == 0:
        times = shown[0] // size[0]
        assert fitted.getpixel((2 * times - 1, times - 1)) == noise.getpixel((1, 0))


def test_the_colours_are_those_of_the_page_in_light() -> None:
    colours = light(PICTURES)
    assert (colours["page"], colours["reward"], colours["watch"]) == (
        "#fcfcfb",
        "#1f5f9e",
        "#a2520b",
    )


def test_nothing_depends_on_the_users_matplotlib(coloured: Path, tmp_path: Path) -> None:
    plain = write_figure(coloured, tmp_path / "plain.png").read_bytes()
    odd = {
        "text.usetex": True,
        "font.size": 40,
        "font.family": "cursive",
        "axes.facecolor": "black",
        "savefig.dpi": 7,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(odd):
        before = dict(matplotlib.rcParams)
        assert write_figure(coloured, tmp_path / "odd.png").read_bytes() == plain
        assert dict(matplotlib.rcParams) == before


def test_matplotlib_is_imported_when_asked_and_pyplot_never(coloured: Path, tmp_path: Path) -> None:
    code = (
        "import sys, ddpo.gallery as gallery\nfrom pathlib import Path\n"
        "assert not [name for name in sys.modules if name.startswith('matplotlib')]\n"
        f"gallery.write_figure({str(coloured)!r}, {str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
