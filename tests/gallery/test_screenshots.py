"""The gallery as people see it, kept as pictures in `artefacts/gallery/` for whoever will look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from ddpo.gallery import write_comparison, write_gallery
from tests.gallery import made_up
from tests.gallery.test_browser import PHONE, to_every_sample
from tests.support.browser import MISSING, browser, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

KEPT = Path(__file__).parents[2] / "artefacts" / "gallery"
SIZES = {"phone": PHONE, "desktop": {"width": 1440, "height": 900}}
COLOURS = 50
"""A page with pictures and curves on it has more; an empty one a handful."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def _pictures(folder: Path) -> Path:
    return write_gallery(made_up.write_whole_run(folder / "run"))


def _texts(folder: Path) -> Path:
    return write_gallery(made_up.write_text_run(folder / "run"))


def _several(folder: Path) -> Path:
    runs = [made_up.write_whole_run(folder / "one"), made_up.write_other_run(folder / "two")]
    return write_comparison(runs, folder / "out")


def _kept(page: Page, name: str) -> Image.Image:
    KEPT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=KEPT / f"{name}.png")
    return Image.open(KEPT / f"{name}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("write", [_pictures, _texts, _several])
def test_a_page_is_kept_as_pictures(
    chromium: Browser, tmp_path: Path, write: Callable[[Path], Path], size: str, theme: str
) -> None:
    how: dict[str, Any] = {"viewport": SIZES[size], "color_scheme": theme}
    name = f"{write.__name__[1:]}-{size}-{theme}"
    with opened(chromium, write(tmp_path), **how) as (page, _):
        top = _kept(page, name)
        to_every_sample(page)
        page.locator(".wall button").first.click()
        page.get_by_role("dialog").wait_for()
        box = _kept(page, f"{name}-lightbox")
    for taken in (top, box):
        assert taken.size == tuple(SIZES[size].values())
        assert len(taken.convert("RGB").getcolors(1 << 24) or []) > COLOURS
    dark = top.convert("L").getpixel((0, 0)) < 128
    assert dark == (theme == "dark")
