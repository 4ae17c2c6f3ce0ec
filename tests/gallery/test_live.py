"""A served page in a real browser, while its run goes on: what is new appears, and what the reader
has chosen, opened or reached stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.gallery import made_up
from tests.gallery.served import Served, served
from tests.gallery.test_accessible import AXE, LACKING, violations
from tests.gallery.test_browser import PHONE, to_every_sample
from tests.support.browser import MISSING, Seen, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

UNREACHABLE = "Failed to load resource: net::ERR_CONNECTION_REFUSED"
"""What a browser says of a server that is gone, whoever asked."""
FOLLOWS = "Live: what the run writes appears here."


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@contextmanager
def visited(chromium: Browser, site: Served, **options: Any) -> Iterator[tuple[Page, Seen]]:
    """Its page, which asks nobody else, complains of nothing and is loaded once."""
    page = chromium.new_page(**options)
    page.set_default_timeout(15_000)
    seen = Seen()
    seen.watch(page)
    page.goto(site.address)
    page.evaluate("window.mark = 'not loaded again'")
    yield page, seen
    assert page.evaluate("window.mark") == "not loaded again"
    page.close()
    assert [line for line in seen.complaints if line != UNREACHABLE] == []
    assert [url for url in seen.requests if not url.startswith((site.address, "data:"))] == []


def add(run: Path, iteration: int) -> None:
    """One more iteration, with samples."""
    share = iteration / 40
    entries = [made_up._entry(index, share) for index in range(len(made_up.PROMPTS))]
    pictures = [made_up._scene(index, share, 64) for index in range(len(made_up.PROMPTS))]
    made_up.write_samples(run, iteration, entries, pictures)
    rows = [made_up._row(each, 40) for each in range(1, iteration + 1)]
    made_up.write_metrics(run, rows)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 40 iterations of which 10 are done."""
    made_up.write_config(tmp_path / "run")
    for iteration in (0, 10):
        add(tmp_path / "run", iteration)
    return tmp_path / "run"


def top(page: Page, selector: str) -> float:
    """How far down the screen an element begins."""
    return page.locator(selector).evaluate("node => node.getBoundingClientRect().top")


def field(page: Page, name: str) -> Locator:
    """A choice, by what people read."""
    return page.get_by_role("combobox", name=name, exact=True)


def options(page: Page, name: str) -> list[str]:
    """What a field has to choose from."""
    return field(page, name).locator("option").all_inner_texts()


def test_a_new_iteration_appears_and_the_reader_stays_where_they_are(
    chromium: Browser, run: Path
) -> None:
    with served(run) as site, visited(chromium, site) as (page, seen):
        page.get_by_text(FOLLOWS).wait_for()
        page.get_by_label("Theme").select_option("dark")
        page.get_by_text("The numbers, 10 iterations").click()
        to_every_sample(page)
        page.get_by_role("searchbox", name="Prompt has").fill("green")
        page.get_by_text("2 of 6 images").wait_for()
        points = page.locator(".curve .line.reward").first.get_attribute("points") or ""
        place = top(page, "#explorer")

        add(run, 20)
        site.watch.look()
        page.locator("#rows th", has_text="iteration 20, latest").wait_for()

        assert page.locator("#rows tbody tr").count() == len(made_up.PROMPTS)
        assert "20 of 40 iterations done" in page.inner_text("header")
        assert "latest, iteration 20" in page.inner_text(".changes")
        later = page.locator(".curve .line.reward").first.get_attribute("points") or ""
        assert (len(points.split()), len(later.split())) == (10, 20)
        assert options(page, "Iteration") == ["base", "iteration 10", "iteration 20, latest"]
        # What was there stays.
        assert field(page, "Iteration").input_value() == "10"
        assert page.get_by_role("searchbox", name="Prompt has").input_value() == "green"
        assert page.evaluate("document.activeElement.type") == "search"
        page.get_by_text("2 of 6 images").wait_for()
        assert top(page, "#explorer") == pytest.approx(place, abs=2)
        assert page.locator("details", has_text="The numbers, 20").get_attribute("open") == ""
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        # What has not changed is not asked for again, and what has, under an address of its own.
        data = [url.rsplit("/", 1)[1] for url in seen.requests if "/data/" in url]
        kept = json.loads(site.ask("/live").content)["data"]
        assert data == [
            *("summary.js", "000000.js", "000010.js"),
            *(f"summary.js?v={kept['summary']}", f"000020.js?v={kept['000020']}"),
        ]


def test_an_open_lightbox_and_the_focus_in_the_rows_stay(chromium: Browser, run: Path) -> None:
    with served(run) as site, visited(chromium, site) as (page, _):
        opener = page.locator("#rows tbody tr").nth(1).locator("button").nth(1)
        opener.click()
        page.get_by_role("slider").fill("37")
        add(run, 20)
        site.watch.look()
        page.locator("#rows th", has_text="iteration 20, latest").wait_for(state="attached")
        box = page.get_by_role("dialog")
        assert box.locator("h2").inner_text() == "iteration 10, latest, picture 1"
        assert page.get_by_role("slider").input_value() == "37"
        page.keyboard.press("Escape")
        box.wait_for(state="hidden")
        focused = "document.activeElement.closest('td').dataset.label"
        assert page.evaluate(focused) == "iteration 10"

        add(run, 30)
        site.watch.look()
        page.locator("#rows th", has_text="iteration 30, latest").wait_for()
        assert page.evaluate(focused) == "iteration 10"
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="iteration 10, picture 1").wait_for()


def test_samples_that_were_written_again_are_shown_where_the_reader_is(
    chromium: Browser, tmp_path: Path
) -> None:
    def write(word: str, **columns: Any) -> None:
        texts = [
            made_up.text_sample(f"{word} {i}", f"prompt {i}", i, **columns) for i in range(500)
        ]
        made_up.write_samples(tmp_path, 0, texts)

    write("old")
    with served(tmp_path) as site, visited(chromium, site) as (page, _):
        to_every_sample(page)
        page.locator(".wall").evaluate("box => box.scrollTop = 4000")
        page.locator(".wall li", has_text="old 450").wait_for()
        write("new", watch={"repetition": 1.0})
        site.watch.look()
        page.locator(".wall li", has_text="new 450").wait_for()
        assert page.locator(".wall").evaluate("box => box.scrollTop") == 4000
        assert options(page, "by") == ["reward", "repetition"]


def test_the_first_samples_of_a_run_appear(chromium: Browser, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with served(run) as site:
        page = chromium.new_page()
        page.goto(site.address)
        page.get_by_text("Waiting for the run").wait_for()
        made_up.write_config(run)
        site.watch.look()
        page.get_by_text("No iteration has ended yet.").first.wait_for()
        page.close()
        with visited(chromium, site) as (page, _):
            page.get_by_text(FOLLOWS).wait_for()
            add(run, 0)
            site.watch.look()
            page.locator("#rows button img").first.wait_for()
            to_every_sample(page)
            assert options(page, "Iteration") == ["base"]


def test_a_server_that_is_gone_is_said_and_one_that_is_back_is_followed(
    chromium: Browser, run: Path
) -> None:
    with served(run) as site:
        opened = visited(chromium, site)
        page, _ = opened.__enter__()
        page.get_by_text(FOLLOWS).wait_for()
    page.get_by_text("The server does not answer. This page is as it was at").wait_for()
    add(run, 20)
    with served(run, site.server.port):
        # the page itself gives a request up after 10 s, and asks again 3 s later
        page.locator("#rows th", has_text="iteration 20, latest").wait_for(timeout=40_000)
        page.get_by_text(FOLLOWS).wait_for()
        opened.__exit__(None, None, None)


def test_what_could_not_be_written_is_said(chromium: Browser, run: Path) -> None:
    with served(run) as site, visited(chromium, site) as (page, _):
        page.get_by_text(FOLLOWS).wait_for()
        site.watch.problem = "/a/folder is full"
        page.get_by_text("The newest could not be written").wait_for()
        assert "/a/folder" not in page.inner_text("body")
        site.watch.problem = ""
        page.get_by_text(FOLLOWS).wait_for()


def test_a_page_that_nobody_sees_does_not_ask(chromium: Browser, run: Path) -> None:
    hide = "Object.defineProperty(document, 'hidden', {{ get: () => {}, configurable: true }})"
    with served(run) as site, visited(chromium, site) as (page, seen):
        page.get_by_text(FOLLOWS).wait_for()
        page.evaluate(hide.format("true"))
        page.wait_for_timeout(1500)  # one that had been asked for already
        asked = len(seen.requests)
        page.wait_for_timeout(2500)
        assert len(seen.requests) == asked
        page.evaluate(
            hide.format("false") + "; document.dispatchEvent(new Event('visibilitychange'))"
        )
        with page.expect_request("**/live"):
            pass


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
def test_axe_finds_nothing_live_and_without_a_server(
    chromium: Browser, run: Path, theme: Any, size: Any
) -> None:
    axe = (files(AXE) / "axe.min.js").read_text("utf-8")
    page = chromium.new_page(color_scheme=theme, viewport=size, bypass_csp=True)
    with served(run) as site:
        page.goto(site.address)
        page.get_by_text(FOLLOWS).wait_for()
        page.add_script_tag(content=axe)
        assert violations(page) == []
    page.get_by_text("The server does not answer").wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.close()


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
def test_axe_finds_nothing_while_a_run_is_waited_for(chromium: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "later") as site:
        content = site.ask("/").content.decode()
    page = chromium.new_page(bypass_csp=True)
    page.set_content(content)
    page.add_script_tag(content=(files(AXE) / "axe.min.js").read_text("utf-8"))
    assert violations(page) == []
    page.close()
