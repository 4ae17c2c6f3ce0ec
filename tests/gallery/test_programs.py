"""Programs in the gallery: what became of their tests, on the page and in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ddpo.gallery import write_gallery
from ddpo.gallery.programs import results_of
from tests.gallery import made_up
from tests.gallery.test_accessible import AXE, violations
from tests.gallery.test_browser import HOSTILE, PHONE, choose, to_every_sample
from tests.gallery.test_folder import registered
from tests.gallery.test_page import Page
from tests.support.browser import MISSING, browser, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

in_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)
PROMPT = "Add one to x: f(x)."
REFERENCE = "def f(x):\n    return x + 1\n"
BASE = "def f(x) return x"
BETTER = (
    '# one more\ndef f(x, *, by=1.5, note="it\'s"):\n    """Adds\n\n    one."""\n'
    "    if x is None: return 'abc\n    return int(x + by)  # " + "long " * 40
)


def case(call: str, expected: str, got: str, passed: bool | None) -> dict[str, Any]:
    """One test as a reward tells of it."""
    return {"call": call, "expected": expected, "got": got, "passed": passed}


def told(*tests: dict[str, Any], python: bool | None = True, **more: Any) -> dict[str, Any]:
    """What a reward tells of a program."""
    passed = sum(test["passed"] is True for test in tests)
    detail = {"python": python, "passed": passed, "count": len(tests), "tests": [*tests], **more}
    return {"other": ["no tests"], "code_tests": detail}


FAILED = told(*[case(f"f({x})", f"{x + 1}", "not Python", False) for x in (1, 2)], python=False)
PASSED = told(case("f(1)", "2", "2", True), case("f(2)", "3", "raised TypeError: no", False))
UNKNOWN = told(case("f(1)", "2", "not known", None), python=None, passed=None, problem="it broke")


def entry(text: str, details: dict[str, Any] | None, prompt: str = PROMPT) -> dict[str, Any]:
    """A sample of a run that writes programs."""
    return made_up.text_sample(text, prompt, columns={"reference": REFERENCE}, details=details)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run whose base wrote no Python, and that then passed one test of two."""
    run = tmp_path_factory.mktemp("runs") / "programs"
    made_up.write_samples(run, 0, [entry(BASE, FAILED), entry("f = 3", UNKNOWN), entry("t", None)])
    made_up.write_samples(run, 5, [entry(BETTER, PASSED), entry("f = 4", None), entry("t", None)])
    return write_gallery(run)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def test_the_data_have_the_results_where_there_are_any(gallery: Path) -> None:
    tests = registered(gallery.parent, "000000")["tests"]
    assert tests == [
        {**FAILED["code_tests"], "problem": ""},
        UNKNOWN["code_tests"],
        None,
    ]
    assert [each is None for each in registered(gallery.parent, "000005")["tests"]] == [0, 1, 1]


def test_the_page_without_scripts_has_their_count(gallery: Path) -> None:
    shown = Page(gallery.read_text(encoding="utf-8"))
    cells = shown.texts["td"][-6:]
    assert "0 of 2 tests passed" in cells[0]
    assert "1 of 2 tests passed" in cells[1]
    assert "1 test, not run" in cells[2]
    assert all("test" not in cell for cell in cells[3:])


@pytest.mark.parametrize(
    "details",
    [
        None,
        "text",
        [],
        {},
        {"code_tests": None},
        {"code_tests": []},
        {"code_tests": {}},
        {"code_tests": {**PASSED["code_tests"], "count": -1}},
        {"code_tests": {**PASSED["code_tests"], "count": True}},
        {"code_tests": {**PASSED["code_tests"], "passed": 1.5}},
        {"code_tests": {**PASSED["code_tests"], "python": "yes"}},
        {"code_tests": {**PASSED["code_tests"], "problem": 3}},
        {"code_tests": {**PASSED["code_tests"], "tests": {"call": "f"}}},
        {"code_tests": {**PASSED["code_tests"], "tests": [["f(1)", "2", "2", True]]}},
        {"code_tests": told(case("f", "2", "2", "yes"))["code_tests"]},  # pyright: ignore
        {"code_tests": told(case("f", "2", 2, True))["code_tests"]},  # pyright: ignore
    ],
)
def test_details_of_another_form_are_none(details: Any, tmp_path: Path) -> None:
    assert results_of(details) is None
    folder = made_up.write_samples(tmp_path, 0, [made_up.text_sample("t", details={"x": 1})])
    index = json.loads((folder / "index.json").read_text())
    index["samples"][0]["details"] = details
    (folder / "index.json").write_text(json.dumps(index))
    page = write_gallery(tmp_path)
    assert "tests" not in registered(page.parent, "000000")
    assert "1 of 1" not in page.read_text(encoding="utf-8")


def test_the_first_of_many_tests_are_kept() -> None:
    found = results_of(told(*[case(f"f({number})", "1", "1", True) for number in range(30)]))
    assert found is not None
    assert (found.summary, len(found.tests)) == ("30 of 30 tests passed", 20)


@in_browser
def test_a_program_stands_as_code_with_its_tests_in_a_table(
    chromium: Browser, gallery: Path
) -> None:
    with opened(chromium, gallery) as (page, _):
        page.locator("#rows button").nth(1).click()
        box = page.get_by_role("dialog")
        code = box.get_by_role("region", name="Program", exact=True)
        assert code.evaluate("node => node.textContent") == BETTER + "\n"
        lines = code.locator(".line")
        assert lines.count() == BETTER.count("\n") + 1
        coloured = {
            kind: code.locator(f".{kind}").all_inner_texts()
            for kind in ("keyword", "string", "number", "comment")
        }
        assert coloured["keyword"] == ["def", "if", "is", "None", "return", "return"]
        assert coloured["string"] == ['"it\'s"', '"""Adds', '    one."""', "'abc"]
        assert coloured["number"] == ["1.5"]
        assert coloured["comment"][0] == "# one more"
        rows = box.locator("tbody tr").all_inner_texts()
        assert [row.split("\t") for row in rows] == [
            ["✓ passed", "f(1)", "2", "2"],
            ["✗ failed", "f(2)", "3", "raised TypeError: no"],
        ]
        said = box.inner_text()
        assert "1 of 2 tests passed" in said
        assert box.get_by_role("region", name="Reference").inner_text() == REFERENCE
        base = box.get_by_role("region", name="Base's program").locator("..")
        assert BASE in base.inner_text()
        assert "0 of 2 tests passed" in base.inner_text()


@in_browser
def test_what_is_not_python_or_not_known_is_said_and_a_text_stays_one(
    chromium: Browser, gallery: Path
) -> None:
    with opened(chromium, gallery) as (page, _):
        page.locator("#rows button").nth(0).click()
        box = page.get_by_role("dialog")
        assert "It is not Python, so that nothing was run." in box.inner_text()
        page.keyboard.press("Escape")
        page.locator("#rows button").nth(2).click()
        assert "Nothing is known of it: it broke" in box.inner_text()
        assert "1 test, not run" in box.inner_text()
        assert "It is not Python" not in box.inner_text()
        assert "– not known" in box.locator("tbody tr").inner_text()
        page.keyboard.press("ArrowRight")
        box.get_by_text("Base's completion").wait_for()
        assert box.locator("pre, table").count() == 0


@in_browser
def test_a_long_line_scrolls_in_its_own_box_by_keys_too(chromium: Browser, gallery: Path) -> None:
    # Waiting for a value evaluates text, which the page's own policy would refuse.
    with opened(chromium, gallery, viewport=PHONE, bypass_csp=True) as (page, _):
        page.locator("#rows button").nth(1).click()
        code = page.get_by_role("region", name="Program", exact=True)
        sizes = "[node.scrollWidth > node.clientWidth, node.scrollLeft]"
        assert code.evaluate(f"node => {sizes}") == [True, 0]
        code.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.activeElement.scrollLeft > 0")
        page.get_by_text("2 of 2", exact=True).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@in_browser
def test_the_wall_says_how_many_tests_passed(chromium: Browser, gallery: Path) -> None:
    with opened(chromium, gallery) as (page, _):
        to_every_sample(page)
        assert page.locator(".wall .passed").all_inner_texts() == ["1 of 2 tests passed"]
        choose(page, "Iteration", "base")
        page.get_by_text("1 test, not run").nth(1).wait_for()
        counts = page.locator(".wall .passed").all_inner_texts()
        assert counts == ["0 of 2 tests passed", "1 test, not run"]


@in_browser
def test_hostile_programs_and_results_show_as_text_and_do_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    texts = [text.replace("\ud800", "?") for text in HOSTILE[:20]]
    results = [told(case(text, text, text, False), problem=text) for text in texts]
    entries = [entry(text, result, text) for text, result in zip(texts, results, strict=True)]
    made_up.write_samples(tmp_path, 0, entries)
    with opened(chromium, write_gallery(tmp_path)) as (page, _):
        to_every_sample(page)
        choose(page, "Show", "in order")
        page.locator(".wall button").first.click()
        for index, text in enumerate(texts):
            page.get_by_text(f"{index + 1} of 20", exact=True).wait_for()
            shown = page.locator(".tests bdi").evaluate_all("all => all.map(n => n.textContent)")
            assert shown == [text] * 4
            program = page.locator(".program").first.evaluate("node => node.textContent")
            assert program.removesuffix("\n") == text
            page.keyboard.press("ArrowRight")
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("document.querySelectorAll('[onerror], [onload]').length") == 0


@in_browser
@pytest.mark.parametrize(
    "text",
    ["'" * 20_000, '"""' + "#\n" * 9_000, "\\" * 20_000, "1 " * 10_000, "x = 1\n" * 99_000],
    ids=["quotes", "open", "backslashes", "numbers", "long"],
)
def test_a_strange_program_is_drawn_at_once_and_whole(
    text: str, chromium: Browser, tmp_path: Path
) -> None:
    made_up.write_samples(tmp_path, 0, [entry(text, PASSED)])
    with opened(chromium, write_gallery(tmp_path)) as (page, _):
        page.locator("#rows button").first.click()
        drawn = page.locator(".program").first.evaluate("node => node.textContent")
        assert drawn.removesuffix("\n") == text.removesuffix("\n")


@in_browser
@pytest.mark.skipif(not find_spec(AXE), reason="no axe-core: pip install axe-playwright-python")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
def test_axe_finds_nothing(
    chromium: Browser, gallery: Path, theme: str, size: dict[str, int]
) -> None:
    how = {"color_scheme": theme, "viewport": size, "bypass_csp": True}
    with opened(chromium, gallery, **how) as (page, _):
        page.add_script_tag(content=(files(AXE) / "axe.min.js").read_text("utf-8"))
        page.locator("#rows button").nth(1).click()
        page.get_by_role("dialog").wait_for()
        assert violations(page) == []
