"""What a gallery that is served has at which address."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ddpo.gallery.folder import GalleryFolder
from ddpo.gallery.kinds import PICTURES
from ddpo.gallery.live_page import live_page, live_script, waiting_page
from ddpo.gallery.page import style
from ddpo.gallery.watching import Edition, Watch, stamp

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webp": "image/webp",
    ".png": "image/png",
}
HOME = ("/", "/index.html")
NEVER = "no-store"
IF_SAME = "private, no-cache"
FOR_GOOD = "private, max-age=31536000, immutable"
"""Of a file whose address has its stamp."""

DATA = re.compile(r"/data/(summary|[0-9]{6,12})\.js")
SAMPLE = re.compile(r"/(thumbs|pictures)/([0-9]{6,12})/([0-9]{4,12})\.(?:webp|png)")


class Answer(NamedTuple):
    """A file's content, and the headers that are its own."""

    content: bytes
    headers: Mapping[str, str]


class Site:
    """The newest edition of a gallery, or, before there is one, a page that says so."""

    def __init__(self, watch: Watch):
        """Look for the edition there at each request."""
        self._watch = watch
        self._script = live_script().encode()

    def answer(self, address: str, query: str = "") -> Answer | None:
        """What is at an address; None for nothing.

        Args:
            address: the path of a request, as it was sent: nothing in it is decoded.
            query: what followed a question mark.
        """
        # Before anything is read: a page may be newer than its version says, and never older.
        edition = self._watch.edition
        if edition is None:
            return self._waiting(address)
        if address in HOME:
            return self._home(edition)
        if address == "/live":
            return _answer(".json", NEVER, self._news(edition))
        if address == "/live.js":
            return _answer(".js", NEVER, self._script)
        file = file_at(edition.gallery, address)
        return file and _file(edition.gallery, file, query)

    def _waiting(self, address: str) -> Answer | None:
        if address in HOME:
            answer = _answer(".html", NEVER, waiting_page(self._watch.run.absolute().name))
            # The page has no script: the browser asks again by itself.
            return Answer(answer.content, {**answer.headers, "Refresh": "2"})
        if address == "/gallery.css":
            return _answer(".css", NEVER, style(PICTURES).encode())
        return None

    def _home(self, edition: Edition) -> Answer | None:
        page = _file(edition.gallery, edition.gallery.page)
        return page and _answer(".html", NEVER, live_page(page.content, edition.version))

    def _news(self, edition: Edition) -> bytes:
        # Not what the problem is: that may name folders.
        is_behind = bool(self._watch.problem)
        news = {"version": edition.version, "data": edition.data, "behind": is_behind}
        return json.dumps(news).encode()


def file_at(gallery: GalleryFolder, address: str) -> Path | None:
    """The file of a gallery that an address stands for, whether it is there or not; None where it
    stands for none. Of the address only numbers become part of a path.
    """
    found = {"/gallery.css": gallery.style, "/gallery.js": gallery.script}.get(address)
    if match := DATA.fullmatch(address):
        found = gallery.data_file(match[1])
    elif match := SAMPLE.fullmatch(address):
        place = gallery.thumb if match[1] == "thumbs" else gallery.picture
        found = place(int(match[2]), int(match[3]))
    # A number can be written with more digits than the gallery's own names have.
    is_name = found and f"/{found.relative_to(gallery.page.parent).as_posix()}" == address
    return found if is_name else None


def _file(gallery: GalleryFolder, path: Path, query: str = "") -> Answer | None:
    """The content of a file; None where there is none, or something else."""
    root = gallery.page.parent
    # A link, even of a folder on the way, could lead out.
    if path.resolve() != root.resolve() / path.relative_to(root):
        return None
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        content = path.read_bytes()
    except OSError:
        return None
    caching = FOR_GOOD if query == f"v={stamp(status)}" else IF_SAME
    answer = _answer(path.suffix, caching, content)
    return Answer(answer.content, {**answer.headers, "ETag": f'"{stamp(status)}"'})


def _answer(suffix: str, caching: str, content: bytes) -> Answer:
    return Answer(content, {"Content-Type": TYPES[suffix], "Cache-Control": caching})
