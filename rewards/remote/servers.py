"""A pool of servers: which of them is asked next, and for how long it is worth asking."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import tenacity

from rewards.errors import RewardError, UnavailableError
from rewards.web.circuit import Circuit
from rewards.web.request import Refused, RequestError, TimedOut, Unreachable, request
from rewards.web.retrying import BUSY, error_of, retrying, temporary


@dataclass(frozen=True)
class Call:
    """What is asked of any one of the servers."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Server:
    url: str
    circuit: Circuit = field(default_factory=Circuit)
    busy: int = 0  # requests that it has not answered yet
    last: float = 0.0  # when it was asked last


class Servers:
    """Servers that give the same answers. Safe to use from several threads; cannot be pickled.

    Args:
        urls: of each, such as `http://127.0.0.1:8321`.
        timeout: seconds for one request, with its answer.
        retries: how often a request that hangs is sent again; to another server, where there is
            one.

    Raises:
        RewardError: a URL is malformed.
    """

    def __init__(self, urls: Collection[str], timeout: float, retries: int) -> None:
        for url in urls:
            _refuse_malformed(url)
        self.timeout = timeout
        self.retries = retries
        self._servers = [_Server(url.rstrip("/")) for url in urls]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._servers)

    def ask(self, call: Call, patience: float, stop: threading.Event | None = None) -> bytes:
        """The answer of the first server that gives one.

        A server that is down or busy is waited for, up to `patience` seconds in all; one that hangs
        is asked `retries` times more. Once `stop` is set, it is not asked again.

        Raises:
            UnavailableError: no server is there; the message names one, and what to do.
            RewardError: a server refused the request.
        """
        stop = stop or threading.Event()
        hung: list[str] = []

        def enough(state: tenacity.RetryCallState) -> bool:
            if isinstance(error_of(state), TimedOut) and len(hung) > self.retries:
                return True
            return stop.is_set() or (state.seconds_since_start or 0.0) > patience

        try:
            return retrying(temporary, enough, stop.wait)(self._ask_one, call, hung)
        except RequestError as error:
            if stop.is_set():
                raise RewardError(f"{error}; stopped") from error
            raise self._give_up(error, patience) from error

    def _ask_one(self, call: Call, hung: list[str]) -> bytes:
        with self._chosen(hung) as server:
            try:
                answer = request(
                    call.method,
                    server.url + call.path,
                    timeout=self.timeout,
                    body=call.body,
                    headers=call.headers,
                )
            except RequestError as error:
                self._note(server, error, hung)
                # The address belongs in front of what a user reads.
                error.args = (f"{server.url}: {error}",)
                raise
            server.circuit.succeeded()
            return answer

    @contextmanager
    def _chosen(self, hung: Collection[str]) -> Iterator[_Server]:
        """The least busy server that may be asked, if possible one where this call did not hang."""
        with self._lock:
            ranked = sorted(self._servers, key=lambda s: (s.url in hung, s.busy, s.last))
            server = next((server for server in ranked if server.circuit.admits()), None)
            if server is None:
                raise Unreachable(ranked[0].circuit.problem)
            server.busy += 1
            server.last = time.monotonic()
        try:
            yield server
        finally:
            with self._lock:
                server.busy -= 1

    def _note(self, server: _Server, error: RequestError, hung: list[str]) -> None:
        if isinstance(error, TimedOut):
            hung.append(server.url)
        # A server that is busy, or that refuses this request, is well.
        well = isinstance(error, Refused) and (error.status in BUSY or not temporary(error))
        if well:
            server.circuit.succeeded()
        else:
            server.circuit.failed(f"{server.url}: {error}")

    def _give_up(self, error: RequestError, patience: float) -> RewardError:
        if isinstance(error, Refused) and not temporary(error):
            return RewardError(_refusal(error))
        if isinstance(error, TimedOut):
            line = (
                f"{error}, {self.retries + 1} times: the server hangs, or a request takes longer; "
                "restart it, or raise 'timeout' or lower 'batch_size'"
            )
        else:
            line = f"{error}; waited {patience:g} s for it: start the server, or check the address"
        return UnavailableError(line)


def _refusal(error: Refused) -> str:
    remedies = {
        401: "set the variable that 'token_env' names to the server's token",
        413: "lower 'batch_size', or use encoding=png",
    }
    remedy = remedies.get(error.status)
    return f"{error}: {remedy}" if remedy else str(error)


def _refuse_malformed(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise RewardError(f"reward 'remote': url={url!r} is not of the form http://host:port")
