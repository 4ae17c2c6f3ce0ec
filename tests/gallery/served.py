"""A gallery served by this process, which looks at its run when a test says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ddpo.gallery.answering import GalleryServer
from ddpo.gallery.site import Site
from ddpo.gallery.watching import Watch


@dataclass(frozen=True)
class Reply:
    """What a server sent: the whole of it, and its parts."""

    sent: bytes

    @property
    def status(self) -> int:
        """The number in the first line."""
        return int(self.sent.split(maxsplit=2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """By name, small letters."""
        lines = self.sent.partition(b"\r\n\r\n")[0].decode().splitlines()[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def content(self) -> bytes:
        """What follows the headers."""
        return self.sent.partition(b"\r\n\r\n")[2]


@dataclass(frozen=True)
class Served:
    """A server that runs, and what it looks at."""

    watch: Watch
    server: GalleryServer

    @property
    def host(self) -> str:
        """What browsers send as `Host`."""
        return f"127.0.0.1:{self.server.port}"

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{self.host}/"

    def ask(self, target: str | bytes, *headers: str, method: str = "GET") -> Reply:
        """Send a request as it stands, with the right `Host` unless headers are given."""
        target = target.encode() if isinstance(target, str) else target
        lines = "".join(f"{line}\r\n" for line in headers or [f"Host: {self.host}"])
        return self.send(method.encode() + b" " + target + b" HTTP/1.1\r\n" + lines.encode())

    def send(self, head: bytes) -> Reply:
        """Send the head of a request, byte for byte, and read to the end."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as connection:
            connection.sendall(head + b"\r\n")
            return Reply(b"".join(iter(lambda: connection.recv(65536), b"")))


@contextmanager
def served(run: Path, port: int = 0) -> Iterator[Served]:
    """Serve the gallery of a run that is there, or is not yet."""
    watch = Watch(run)
    if run.exists():
        watch.look()
    with GalleryServer("127.0.0.1", port, Site(watch)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Served(watch, server)
        finally:
            server.shutdown()
            thread.join()
