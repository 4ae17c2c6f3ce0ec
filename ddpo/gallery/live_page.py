"""The page of a gallery that is served: the same, with a script that keeps it up to date."""

from __future__ import annotations

from string import Template

from ddpo.gallery.formatting import escape
from ddpo.gallery.page import CONTENT_POLICY, SCRIPTS, asset, script

LIVE_POLICY = (*CONTENT_POLICY, "connect-src 'self'")
HEADER_POLICY = "; ".join((*LIVE_POLICY, "frame-ancestors 'none'"))
"""The policy of every answer: no page of another address may show one in a frame."""
LIVE_SCRIPTS = (*SCRIPTS, "renewing", "newer", "live")


def live_page(page: bytes, version: str) -> bytes:
    """A gallery's page that asks its own server, and nobody else, for newer versions.

    Both replacements are in its head, above whatever comes from data.

    Args:
        page: as it lies in the folder.
        version: that it has, or an older one.
    """
    policy, ours = ("; ".join(each).encode() for each in (CONTENT_POLICY, LIVE_POLICY))
    tag = f'<script src="live.js" data-version="{version}">'.encode()
    return page.replace(policy, ours, 1).replace(b'<script src="gallery.js">', tag, 1)


def live_script() -> str:
    """The script of that page."""
    return script(LIVE_SCRIPTS)


def waiting_page(name: str) -> bytes:
    """A page for the time before a run has written anything.

    Args:
        name: of the run's folder.
    """
    page = Template(asset("waiting.html")).substitute(name=escape(name))
    return page.encode("utf-8", errors="replace")
