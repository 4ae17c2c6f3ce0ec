"""One HTTP request with a deadline for all of it: connecting, sending, waiting, and reading.

The time limits of the usual clients hold between two bytes, so that a server which sends one byte a
minute holds its client for ever. Here a timer shuts the connection.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

CONNECT_SECONDS = 10.0
"""A machine that does not take a connection in this time is down, not slow."""
MAX_ANSWER_BYTES = 64 * 2**20


class RequestError(Exception):
    """A request that brought no answer; the message is one line, without the address."""


class Unreachable(RequestError):
    """Nothing listens at the address, or the connection broke: a server that is down."""


class TimedOut(RequestError):
    """The connection was taken and the answer did not come in time: a server that hangs."""


class Refused(RequestError):
    """The server answered with an error.

    Attributes:
        status: of HTTP, 300 or more.
        wait: seconds to wait before asking again, where the server said so; else 0.
        explained: the body was the line of an error, so the server itself has answered, and not a
            proxy before it.
    """

    def __init__(self, status: int, line: str, wait: float, explained: bool) -> None:
        super().__init__(f"{line} (status {status})")
        self.status = status
        self.wait = wait
        self.explained = explained


def request(
    method: str,
    url: str,
    *,
    timeout: float,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The body of the answer, which came whole within `timeout` seconds.

    Redirects are not followed, and proxies are not used.

    Raises:
        Unreachable, TimedOut, Refused: see there.
    """
    deadline = time.monotonic() + timeout
    late = TimedOut(f"no whole answer within {timeout:g} s")
    try:
        parts = urlsplit(url)
        connection = _connect(parts, deadline)
        with _shut_at(deadline, connection) as expired:
            answer, content = _exchange(connection, method, parts, body, dict(headers or {}))
        if expired.is_set():  # an answer without a length seems to end when the connection is shut
            raise late
    except TimeoutError as error:
        raise late from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise late from error
        raise Unreachable(str(error) or type(error).__name__) from error
    if answer.status >= 300:
        raise _refused(answer, content)
    return content


def _connect(parts: SplitResult, deadline: float) -> http.client.HTTPConnection:
    """A connection whose socket is open; each address of the host is tried."""
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    problem: OSError = ConnectionError(f"the host '{host}' has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(min(CONNECT_SECONDS, _left(deadline)))
            raw.connect(address)
        except OSError as error:
            raw.close()
            problem = error
            continue
        raw.settimeout(_left(deadline))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind_of_connection = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind_of_connection(host, port)
        connection.sock = _encrypted(raw, host) if secure else raw
        return connection
    raise ConnectionError(f"no connection: {problem.strerror or problem}") from problem


def _encrypted(raw: socket.socket, host: str) -> ssl.SSLSocket:
    # The handshake is left to the first byte sent, which the timer watches over.
    return _tls().wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


@lru_cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _shut_at(deadline: float, connection: http.client.HTTPConnection) -> Iterator[threading.Event]:
    """Shut the connection at the deadline, whatever it is waiting for; closed at the end."""
    expired = threading.Event()
    opened: Any = connection.sock

    def shut() -> None:
        expired.set()
        with suppress(OSError):
            # Not the method of the encrypted socket, which would also drop what a read needs.
            socket.socket.shutdown(opened, socket.SHUT_RDWR)

    timer = threading.Timer(_left(deadline), shut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        connection.close()
        opened.close()


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    parts: SplitResult,
    body: bytes,
    headers: dict[str, str],
) -> tuple[http.client.HTTPResponse, bytes]:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # A server that refuses a body may close before it has read it: its answer is there to be read.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, target, body, {**headers, "Connection": "close"})
    answer = connection.getresponse()
    content = answer.read(MAX_ANSWER_BYTES + 1)
    if len(content) > MAX_ANSWER_BYTES:
        raise http.client.HTTPException(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
    if answer.length:  # `read(n)` does not complain about an answer that broke off
        raise http.client.IncompleteRead(content, answer.length)
    return answer, content


def _refused(answer: http.client.HTTPResponse, content: bytes) -> Refused:
    line = ""
    try:
        error = json.loads(content)["error"]
        # OpenAI's form is an object with a message, ours the line itself.
        line = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        pass
    told = line or answer.reason or "no reason given"
    if 300 <= answer.status < 400:
        told = f"it redirects to {answer.headers.get('Location')}: give that address"
    wait = answer.headers.get("Retry-After", "")
    # It may be a date too, which nobody sends here; then the usual back-off holds.
    seconds = float(wait) if wait.isascii() and wait.isdecimal() else 0.0
    return Refused(answer.status, " ".join(told.split()), seconds, bool(line))


def _left(deadline: float) -> float:
    """Seconds until the deadline; a socket reads 0 as "do not wait", so it is never that."""
    return max(0.001, deadline - time.monotonic())
