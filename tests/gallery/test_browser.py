"""The gallery in a real browser, opened from disk: what a person does with it, and what it never
does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ddpo.gallery import write_gallery
from tests.gallery import made_up
from tests.support.browser import MISSING, browser, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

PHONE = {"width": 390, "height": 844}
PAYLOADS = (
    "<script>alert({0})</script>",
    "<img src=x onerror=alert({0})>",
    '"><svg onload=alert({0})>',
    "' autofocus onfocus=alert({0}) '",
    "</script><script>alert({0})</script>",
    "<!--{0}",
    "javascript:alert({0})",
    "<a href='javascript:alert({0})'>x</a>",
    "</title></style><style>*{{display:none}}</style>{0}",
    "background:url(https://example.com/{0})",
    "https://example.com/{0}.png",
    "../../../../etc/passwd{0}",
    "file:///etc/passwd#{0}",
    "\u202ereversed {0}\u2066\u2067",
    "line\u2028separator\u2029{0}",
    "${{alert({0})}} `{0}`",
    "__proto__ {0}",
    "</bdi></button></dialog>{0}",
    "\x00\x1b[31m{0}\ud800",
    "{0} " + "x" * 100_000,
)
HOSTILE = [payload.format(number) for number in range(5) for payload in PAYLOADS]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of a run of pictures."""
    return write_gallery(made_up.write_whole_run(tmp_path_factory.mktemp("runs") / "pictures"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of a run of texts."""
    return write_gallery(made_up.write_text_run(tmp_path_factory.mktemp("runs") / "texts"))


def to_every_sample(page: Page) -> None:
    """Scroll to the part of the page that shows all of them, which is built then."""
    page.locator("#explorer").scroll_into_view_if_needed()
    page.locator(".wall button").first.wait_for()


def choose(page: Page, field: str, option: str) -> None:
    """Choose an option of a field, both by what people read."""
    page.get_by_role("combobox", name=field, exact=True).select_option(label=option)


def values(page: Page) -> list[float]:
    """The numbers of the samples shown, in their order."""
    shown = page.locator(".wall li").all()
    ordered = sorted(shown, key=lambda item: int(item.get_attribute("aria-posinset") or 0))
    texts = [item.locator(".value").inner_text() for item in ordered]
    return [float(text.replace("\u2212", "-")) for text in texts]


def test_a_page_opened_from_disk_builds_its_rows_and_shows_pictures(
    chromium: Browser, pictures: Path
) -> None:
    with opened(chromium, pictures) as (page, _):
        assert "the reward may be being gamed" in page.inner_text("main")
        page.locator("#rows button img").first.wait_for()
        assert page.locator("#rows tbody tr").count() == len(made_up.PROMPTS)
        loaded = "image => image.decode().then(() => image.naturalWidth)"
        assert page.locator("#rows img").first.evaluate(loaded) == 64
        described = page.locator("#rows img").first.get_attribute("alt")
        assert described == f"base: {made_up.PROMPTS[0]}"


def test_samples_are_sorted_and_filtered(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures) as (page, _):
        to_every_sample(page)
        best = values(page)
        assert best == sorted(best, reverse=True)
        choose(page, "Show", "worst first")
        page.locator(".wall li[aria-posinset='1']").get_by_text(f"\u2212{-min(best)}").wait_for()
        assert values(page) == sorted(best)
        choose(page, "by", "shapes_accuracy")
        page.locator(".wall .value.watch").first.wait_for()
        assert values(page) == sorted(values(page))
        choose(page, "Iteration", "base")
        page.get_by_text("6 of 6 images").wait_for()
        page.get_by_role("searchbox", name="Prompt has").fill("GREEN")
        page.get_by_text("2 of 6 images").wait_for()
        choose(page, "Prompt", made_up.PROMPTS[1])
        page.get_by_text("1 of 6 images").wait_for()
        page.get_by_role("searchbox", name="Prompt has").fill("no such words")
        page.get_by_text("0 of 6 images").wait_for()


def test_the_lightbox_is_used_by_keyboard_alone(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures) as (page, _):
        to_every_sample(page)
        page.locator(".wall button").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        box = page.get_by_role("dialog")
        assert "2 of 6" in box.inner_text()
        first = box.locator("h2").inner_text()
        page.keyboard.press("ArrowRight")
        box.get_by_text("3 of 6").wait_for()
        assert box.locator("h2").inner_text() != first
        page.keyboard.press("ArrowLeft")
        box.get_by_text("2 of 6").wait_for()
        for shown in ("shapes_accuracy", "reward", "prompt", "seed 0", "iteration 40"):
            assert shown in box.inner_text()
        page.keyboard.press("Escape")
        box.wait_for(state="hidden")
        assert page.evaluate("document.activeElement.closest('li').ariaPosInSet") == "2"


def test_the_slider_uncovers_the_base_by_keyboard(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures) as (page, _):
        to_every_sample(page)
        page.locator(".wall button").first.click()
        slider = page.get_by_role("slider")
        place = page.locator(".lightbox h2").inner_text()
        clip = "document.querySelector('.before').computedStyleMap().get('clip-path').toString()"
        covered = page.evaluate(clip)
        slider.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert slider.input_value() == "3"
        assert slider.get_attribute("aria-valuetext") == "3 % of the base's picture"
        assert page.evaluate(clip) != covered
        page.keyboard.press("End")
        assert slider.input_value() == "100"
        assert page.locator(".lightbox h2").inner_text() == place
        before = page.locator(".before").get_attribute("src")
        assert before == "pictures/000000/0005.png"


def test_a_row_s_lightbox_goes_through_its_iterations(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures) as (page, _):
        page.locator("#rows button").nth(0).click()
        box = page.get_by_role("dialog")
        assert box.locator("h2").inner_text() == "base, picture 0"
        assert page.get_by_role("slider").count() == 0
        page.keyboard.press("ArrowRight")
        box.get_by_text("iteration 10, picture 0").wait_for()
        assert page.get_by_role("slider").count() == 1


def test_the_keys_go_on_where_a_button_ends(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures) as (page, _):
        page.locator("#rows button").nth(0).click()
        box = page.get_by_role("dialog")
        page.get_by_role("button", name="Next").focus()
        for at in range(2, 7):
            page.keyboard.press("Enter")
            box.get_by_text(f"{at} of 6").wait_for()
        page.keyboard.press("ArrowLeft")
        box.get_by_text("5 of 6").wait_for()


def test_a_theme_is_chosen_and_kept(chromium: Browser, pictures: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    with opened(chromium, pictures, color_scheme="light") as (page, _):
        light = page.evaluate(colour)
        page.get_by_label("Theme").select_option("dark")
        dark = page.evaluate(colour)
        assert dark != light
        page.reload()
        assert page.evaluate(colour) == dark
        page.get_by_label("Theme").select_option("as the system")
        assert page.evaluate(colour) == light


def test_texts_show_their_reference_and_the_words_that_differ(
    chromium: Browser, texts: Path
) -> None:
    with opened(chromium, texts) as (page, _):
        to_every_sample(page)
        choose(page, "Iteration", "iteration 20")
        page.get_by_label("Completion has").fill("katze")
        page.get_by_text("1 of 5 completions").wait_for()
        page.locator(".wall button").first.click()
        box = page.get_by_role("dialog")
        assert box.locator("bdi mark.only").all_inner_texts() == ["at", "the"]
        assert box.locator("bdi mark.lacking").all_inner_texts() == ["auf", "der"]
        assert "Base's completion" in box.inner_text()
        assert "The cat sat at the Matte." in box.inner_text()


def test_hostile_prompts_names_and_texts_show_as_text_and_do_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    for kind in ("pictures", "texts"):
        run = tmp_path / kind
        made_up.write_config(run, name=PAYLOADS[0])
        for iteration in (0, 1):
            entries = [
                made_up.text_sample(text, text, index, columns={"reference": text})
                if kind == "texts"
                else made_up.sample(text, index, rewards={text[:40]: 1.0 for text in PAYLOADS})
                for index, text in enumerate(HOSTILE)
            ]
            made_up.write_samples(run, iteration, entries)
        with opened(chromium, write_gallery(run)) as (page, _):
            to_every_sample(page)
            choose(page, "Show", "in order")
            page.locator(".wall button").first.click()
            for index, text in enumerate(HOSTILE):
                page.get_by_text(f"{index + 1} of 100", exact=True).wait_for()
                said = page.locator(".about bdi").first.evaluate("node => node.textContent")
                assert said.replace("\ufffd", "\ud800") == text  # which cannot leave the browser
                page.keyboard.press("ArrowRight")
            assert page.evaluate("document.querySelectorAll('script').length") == 1
            assert page.evaluate("document.querySelectorAll('[onerror], [onload]').length") == 0
            assert page.evaluate("Object.keys(Object.prototype).length") == 0


def test_many_samples_are_few_elements_and_all_can_be_reached(
    chromium: Browser, tmp_path: Path
) -> None:
    entries = [made_up.text_sample(f"text {i}", f"prompt {i % 7}", i) for i in range(5000)]
    made_up.write_samples(tmp_path, 0, entries)
    with opened(chromium, write_gallery(tmp_path)) as (page, seen):
        to_every_sample(page)
        assert page.locator(".wall li").count() < 100
        page.locator(".wall button").first.focus()
        page.keyboard.press("End")
        page.locator(".wall li[aria-posinset='5000']").wait_for()
        assert page.locator(".wall li").count() < 100
        page.keyboard.press("Enter")
        page.get_by_text("5,000 of 5,000", exact=True).wait_for()
        page.keyboard.press("Escape")
        choose(page, "Show", "at random")
        choose(page, "Prompt", "prompt 3")
        page.get_by_text("714 of 5,000 completions").wait_for()
        assert [url.rsplit("/", 1)[1] for url in seen.requests if "/data/" in url] == [
            "summary.js",
            "000000.js",
        ]


def test_data_are_loaded_when_they_are_looked_at(chromium: Browser, pictures: Path) -> None:
    with opened(chromium, pictures, viewport={"width": 1200, "height": 300}) as (page, seen):
        page.locator(".theme").wait_for()
        page.locator("#explorer:not([hidden])").wait_for()
        assert [url.rsplit("/", 1)[1] for url in seen.requests if "/data/" in url] == ["summary.js"]


def test_a_data_file_that_is_gone_is_said(chromium: Browser, tmp_path: Path) -> None:
    written = write_gallery(made_up.write_whole_run(tmp_path / "run", iterations=5))
    (written.parent / "data" / "000005.js").write_text("")
    with opened(chromium, written) as (page, _):
        page.get_by_text("data/000005.js is missing or damaged").first.wait_for()
        assert page.locator("#rows tbody tr").count() == len(made_up.PROMPTS)  # as without scripts


def test_with_scripts_off_the_page_says_what_matters(chromium: Browser, pictures: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pictures.as_uri())
    text = page.inner_text("body")
    for said in ("the reward may be being gamed", "Scripts are off", "iteration 40, final"):
        assert said in text
    assert not page.locator("#explorer").is_visible()
    context.close()


@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    chromium: Browser, kind: str, request: pytest.FixtureRequest
) -> None:
    with opened(chromium, request.getfixturevalue(kind), viewport=PHONE) as (page, _):
        page.locator("#rows").scroll_into_view_if_needed()
        to_every_sample(page)
        width = "document.documentElement.scrollWidth"
        assert page.evaluate(width) <= PHONE["width"]
        page.locator(".wall button").first.click()
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["width"] <= PHONE["width"]
