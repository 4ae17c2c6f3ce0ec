"""The gallery of several runs in a real browser, opened from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from ddpo.gallery import write_comparison
from tests.gallery import made_up
from tests.gallery.test_browser import PAYLOADS, PHONE, choose, to_every_sample, values
from tests.support.browser import MISSING, browser, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

ONE, OTHER = "1 · shapes-compressibility", "2 · shapes-truth"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of pictures from the same base, of which each optimises what the other watches."""
    runs = tmp_path_factory.mktemp("runs")
    both = [made_up.write_whole_run(runs / "a"), made_up.write_other_run(runs / "b")]
    return write_comparison(both, runs / "out")


def headings(page: Page) -> list[str]:
    """What stands above the columns of the grid."""
    return page.locator("#rows thead th").all_inner_texts()


def row(page: Page, number: int) -> Locator:
    """The cells of a row of the grid, which the script has built."""
    page.locator("#rows").scroll_into_view_if_needed()
    page.locator("#rows button").first.wait_for()
    return page.locator("#rows tbody tr").nth(number).locator("td")


def test_the_grid_shows_the_runs_at_their_newest_or_at_a_chosen_iteration(
    chromium: Browser, pictures: Path
) -> None:
    with opened(chromium, pictures) as (page, _):
        cells = row(page, 0)
        newest = [f"{ONE}, iteration 40, final", f"{OTHER}, iteration 30, final"]
        assert headings(page) == ["prompt", "base", *newest]
        assert page.locator("#rows tbody tr").count() == len(made_up.PROMPTS)
        sources = [image.get_attribute("src") for image in cells.locator("img").all()]
        assert sources == [
            f"thumbs/{place}/0000.webp" for place in ("1/000000", "1/000040", "2/000030")
        ]
        loaded = "image => image.decode().then(() => image.naturalWidth)"
        assert cells.locator("img").last.evaluate(loaded) == 64
        choose(page, "Runs at", "iteration 10")
        page.get_by_text(f"{OTHER}, iteration 10").first.wait_for()
        assert cells.nth(2).locator("img").get_attribute("src") == "thumbs/2/000010/0000.webp"
        choose(page, "Runs at", "iteration 40")
        page.get_by_text("not there").first.wait_for()
        assert headings(page)[3] == f"{OTHER}, iteration 40"
        assert cells.nth(2).inner_text() == "not there"
        choose(page, "Runs at", "newest of each")
        page.get_by_text(newest[1]).first.wait_for()
        assert headings(page) == ["prompt", "base", *newest]


def test_the_lightbox_of_a_row_compares_with_the_base_and_with_the_other_run_by_keyboard(
    chromium: Browser, pictures: Path
) -> None:
    with opened(chromium, pictures) as (page, _):
        row(page, 1).nth(1).locator("button").focus()
        page.keyboard.press("Enter")
        box = page.get_by_role("dialog")
        box.get_by_text(f"{ONE}, iteration 40, final, picture 1").wait_for()
        before = page.locator(".before")
        assert before.get_attribute("src") == "pictures/1/000000/0001.png"
        against = page.get_by_label("Compared with")
        assert against.locator("option").all_inner_texts() == ["base", "run 2"]
        against.focus()
        page.keyboard.press("ArrowDown")
        page.locator(".before[src='pictures/2/000030/0001.png']").wait_for()
        assert page.evaluate("document.activeElement.tagName") == "SELECT"
        slider = page.get_by_role("slider")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == "1 % of run 2's picture"
        page.get_by_role("button", name="Close").focus()
        page.keyboard.press("ArrowRight")
        box.get_by_text(f"{OTHER}, iteration 30, final, picture 1").wait_for()
        assert against.locator("option").all_inner_texts() == ["base", "run 1"]
        assert before.get_attribute("src") == "pictures/2/000000/0001.png"
        page.keyboard.press("ArrowLeft")
        page.locator(".before[src='pictures/2/000030/0001.png']").wait_for()  # as chosen before
        page.keyboard.press("ArrowLeft")
        box.get_by_text("1 of 3").wait_for()
        assert not against.is_visible()
        page.keyboard.press("Escape")
        box.wait_for(state="hidden")


def test_every_sample_of_a_chosen_run_by_its_own_measures(
    chromium: Browser, pictures: Path
) -> None:
    with opened(chromium, pictures) as (page, _):
        to_every_sample(page)
        by = page.get_by_role("combobox", name="by", exact=True)
        assert by.locator("option").all_inner_texts() == ["reward", "shapes_accuracy"]
        assert by.evaluate("select => select.selectedOptions[0].label") == "reward"
        choose(page, "Run", OTHER)
        page.locator(".wall img[src^='thumbs/2/000030/']").first.wait_for()
        assert by.locator("option").all_inner_texts() == ["reward", "jpeg_compressibility"]
        assert values(page) == sorted(values(page), reverse=True)
        choose(page, "Iteration", "base")
        page.locator(".wall img[src^='thumbs/2/000000/']").first.wait_for()
        choose(page, "Iteration", "iteration 5")
        page.locator(".wall img[src^='thumbs/2/000005/']").first.wait_for()
        page.locator(".wall button").first.click()
        page.get_by_text(f"{OTHER}, iteration 5, picture").wait_for()
        assert (page.locator(".before").get_attribute("src") or "").startswith("pictures/2/000000/")
        assert not page.get_by_label("Compared with").is_visible()


def test_bases_that_differ_stand_beside_their_runs_and_rows_beside_their_prompts(
    chromium: Browser, tmp_path: Path
) -> None:
    for name, colour, prompts in (("a", "red", ["cat", "dog"]), ("b", "blue", ["dog", "owl"])):
        for iteration in (0, 5):
            drawn = [Image.new("RGB", (8, 8), colour) for _ in prompts]
            entries = [made_up.sample(prompt) for prompt in prompts]
            made_up.write_samples(tmp_path / name, iteration, entries, drawn)
    with opened(chromium, write_comparison([tmp_path / "a", tmp_path / "b"], tmp_path / "out")) as (
        page,
        _,
    ):
        row(page, 0)
        assert headings(page)[1:] == ["1 · a, base", "1 · a, iteration 5, latest"] + [
            "2 · b, base",
            "2 · b, iteration 5, latest",
        ]
        assert page.locator("#rows tbody th").all_inner_texts() == ["dog", "cat", "owl"]
        of_dog = [image.get_attribute("src") for image in row(page, 0).locator("img").all()]
        assert of_dog == [
            f"thumbs/{place}.webp"
            for place in ("1/000000/0001", "1/000005/0001", "2/000000/0000", "2/000005/0000")
        ]
        assert row(page, 2).all_inner_texts()[:2] == ["not there", "not there"]


def test_texts_stand_side_by_side(chromium: Browser, tmp_path: Path) -> None:
    runs = [made_up.write_text_run(tmp_path / "a"), made_up.write_text_run(tmp_path / "b", 10)]
    with opened(chromium, write_comparison(runs, tmp_path / "out"), viewport=PHONE) as (page, _):
        choose(page, "Runs at", "iteration 10")
        page.get_by_text("1 · summaries-rouge, iteration 10", exact=False).first.wait_for(
            state="attached"
        )
        row(page, 1).nth(1).get_by_role("button").click()
        page.get_by_label("Compared with").select_option("run 2")
        shown = page.get_by_role("dialog")
        shown.get_by_text("Run 2's completion").wait_for()
        assert "Die Katze saß auf der Matte." in shown.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_hostile_names_of_runs_show_as_text_and_do_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    runs = []
    for index, payload in enumerate((*PAYLOADS[:6], PAYLOADS[13], PAYLOADS[19])):
        run = tmp_path / str(index)
        made_up.write_config(run, name=payload.format(index))
        for iteration in (0, 1):
            made_up.write_samples(run, iteration, [made_up.sample()])
        runs.append(run)
    written = write_comparison(runs, tmp_path / "out")
    for size in (PHONE, {"width": 1440, "height": 900}):
        with opened(chromium, written, viewport=size) as (page, _):
            row(page, 0).nth(1).locator("button").click()
            title = page.locator(".lightbox h2")
            title.get_by_text("1 · <script>alert(0)</script>, iteration 1").wait_for()
            page.keyboard.press("Escape")
            to_every_sample(page)
            choose(page, "Run", "2 · <img src=x onerror=alert(1)>")
            page.locator(".wall img[src^='thumbs/2/']").first.wait_for()
            assert page.evaluate("document.querySelectorAll('script').length") == 1
            assert page.evaluate("document.querySelectorAll('[onerror], [onload]').length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_with_scripts_off_the_runs_are_compared_all_the_same(
    chromium: Browser, pictures: Path
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pictures.as_uri())
    text = page.inner_text("body")
    for said in ("the reward may be being gamed", f"{OTHER}, iteration 30, final", "not set"):
        assert said in text
    context.close()
