"""axe-core, in a real browser, finds nothing against WCAG AA on the page or in the lightbox."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ddpo.gallery import write_comparison, write_gallery
from tests.gallery import made_up
from tests.gallery.test_browser import PHONE, to_every_sample
from tests.support.browser import MISSING, browser, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = "axe_playwright_python"
LACKING = MISSING or ("" if find_spec(AXE) else "no axe-core: pip install axe-playwright-python")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (levels) => {
  const found = await axe.run(document, { runOnly: levels, preload: false });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module", params=["pictures", "texts", "several"])
def gallery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / request.param
    if request.param == "several":
        runs = [made_up.write_whole_run(run / str(number), 10) for number in range(7)]
        return write_comparison([*runs, made_up.write_other_run(run / "other", 10)], run / "out")
    write = made_up.write_whole_run if request.param == "pictures" else made_up.write_text_run
    return write_gallery(write(run))


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands."""
    return page.evaluate(RUN, LEVELS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
def test_axe_finds_nothing(
    chromium: Browser, gallery: Path, theme: str, size: dict[str, int]
) -> None:
    # axe-core is put into the page, which the page's own policy would refuse.
    how = {"color_scheme": theme, "viewport": size, "bypass_csp": True}
    with opened(chromium, gallery, **how) as (page, _):
        page.add_script_tag(content=(files(AXE) / "axe.min.js").read_text("utf-8"))
        page.locator("#rows").scroll_into_view_if_needed()
        to_every_sample(page)
        assert violations(page) == []
        page.locator(".wall button").first.click()
        page.get_by_role("dialog").wait_for()
        assert violations(page) == []
