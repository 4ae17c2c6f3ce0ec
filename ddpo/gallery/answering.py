"""Answers to requests, one by one: what may be had, and that nothing else can."""

from __future__ import annotations

import socket
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ddpo.gallery.live_page import HEADER_POLICY
from ddpo.gallery.site import NEVER, Site
from ddpo.gallery.visitors import Visitors

EVERY_ANSWER = {
    "Content-Security-Policy": HEADER_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
REFUSALS = {
    HTTPStatus.FORBIDDEN: "Open the address that ddpo printed, as it stands there.",
    HTTPStatus.NOT_FOUND: "The gallery has no such file.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The gallery can only be read.",
}
PATIENCE_SECONDS = 10
"""That a request may take to arrive."""


class GalleryServer(ThreadingHTTPServer):
    """A thread for each request; none of them keeps the program from ending."""

    daemon_threads = True

    def __init__(self, host: str, port: int, site: Site):
        """Listen.

        Args:
            host: address, or its name.
            port: 0 takes a free one.
            site: what there is to read.

        Raises:
            OSError: the port is taken, or the address is not this machine's.
            UnicodeError: the name is none.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, address = found[0]
        super().__init__((str(address[0]), int(address[1])), Answering)
        self.address, self.port = str(self.server_address[0]), int(self.server_address[1])
        self.site = site
        self.visitors = Visitors(host, self.address, self.port)

    def server_bind(self) -> None:
        """Take the address without asking for its name, which may take long."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of readers who went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Answering(BaseHTTPRequestHandler):
    """One request. Nothing of it is repeated, neither in an answer nor in a log."""

    server: GalleryServer  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Answer with a file, or refuse."""
        if not self.server.visitors.admit(self.headers):
            return self.send_error(HTTPStatus.FORBIDDEN)
        address, _, query = self.path.partition("?")
        answer = self.server.site.answer(address, query)
        if answer is None:
            return self.send_error(HTTPStatus.NOT_FOUND)
        tag = answer.headers.get("ETag")
        if tag and tag == self.headers.get("If-None-Match"):
            return self._send(HTTPStatus.NOT_MODIFIED, b"", answer.headers)
        return self._send(HTTPStatus.OK, answer.content, answer.headers)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in words that are the same whatever was asked; those of the library repeat it."""
        # So it speaks of methods for which there is no function here.
        status = HTTPStatus(405 if code == 501 else code)
        said = REFUSALS.get(status, status.phrase)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": NEVER}
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        self._send(status, f"{said}\n".encode(), headers)

    def version_string(self) -> str:
        """What the server calls itself: not which version of what it is."""
        return "ddpo"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep no log: a page asks each second."""

    def _send(self, status: HTTPStatus, content: bytes, headers: Any) -> None:
        self.send_response(status)
        for name, value in {**EVERY_ANSWER, **headers}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
