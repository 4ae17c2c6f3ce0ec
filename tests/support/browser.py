"""A real browser for tests of pages: Debian's chromium, through Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
MISSING = "no browser: install Debian's chromium" if CHROMIUM is None else ""
if find_spec("playwright") is None:
    MISSING = "no Playwright: pip install playwright"


@dataclass
class Seen:
    """What a page did beside what it shows.

    Attributes:
        complaints: lines of the console, and errors that nobody caught.
        requests: addresses.
    """

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note all that happens from now on."""
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window. Call it where `MISSING` is empty."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Containers often run as root, and without the namespaces of Chromium's own sandbox.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, file: Path, **options: Any) -> Iterator[tuple[Page, Seen]]:
    """A page opened from disk, which has asked for nothing else and has not complained by the end.

    Args:
        browser: a running one.
        file: of the page.
        options: of Playwright's `new_page`.
    """
    page = browser.new_page(**options)
    page.set_default_timeout(10_000)
    seen = Seen()
    seen.watch(page)
    page.goto(file.as_uri())
    yield page, seen
    page.close()
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
