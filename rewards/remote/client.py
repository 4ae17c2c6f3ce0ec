"""The reward `remote`: scored by servers elsewhere, as `python -m rewards serve` runs them."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import Field

from rewards.definition import Definition
from rewards.errors import RewardError
from rewards.explained import Explained, renumbered
from rewards.modality import modality_of
from rewards.registry import reward
from rewards.remote import card, wire
from rewards.remote.servers import Call, Servers
from rewards.remote.wire import Answer, Encoding

MAKING_SECONDS = 10.0
"""A server that is not there when the reward is made is waited for so long only."""
REQUESTS_PER_SERVER = 2
"""One is scored while the next one is sent."""

T = TypeVar("T")
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _as_declared(made: "Remote", definition: Definition) -> Definition:
    return made.card.declare(definition)


@reward("remote", modality="any", refine=_as_declared)
class Remote:
    """The number that a reward on another machine, or in another environment, gives.

    It takes over what the server declares of its reward: modality, columns, range, unit, group. A
    server that is down or restarts is waited for; one that hangs is given up.

    Args:
        url: of the server, or of several that serve the same reward: a batch is spread over them.
        name: of the reward on the server.
        token_env: the environment variable that holds the server's token, so that no token is
            written into a configuration; unset for a server without one.
        timeout: seconds for one request, with its answer.
        patience: seconds to wait for servers that are down or busy before giving up; a run's
            `scoring.timeout` should be longer, or it speaks first.
        encoding: "npy" is exact; "png" is smaller, and rounds images to 8 bits.
        batch_size: samples of one request; a group reward is always sent whole.
        retries: how often a request that hangs is sent again.
    """

    def __init__(
        self,
        url: str | tuple[str, ...],
        name: str,
        token_env: str = "DDPO_REWARD_TOKEN",
        timeout: Seconds = 60.0,
        patience: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 300.0,
        encoding: Encoding = "npy",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        retries: Annotated[int, Field(ge=0)] = 2,
    ) -> None:
        self.urls = (url,) if isinstance(url, str) else tuple(url)
        if not self.urls:
            raise RewardError("reward 'remote': url is empty; give one http://host:port or several")
        self.name = name
        self.token_env = token_env
        self.timeout = timeout
        self.patience = patience
        self.encoding: Encoding = encoding
        self.batch_size = batch_size
        self.retries = retries
        self._servers = Servers(self.urls, timeout, retries)
        self.card = self._fetch_card()

    def __call__(self, samples: Any, prompts: Sequence[str], **columns: Sequence[Any]) -> Any:
        """Rewards `[B]`: a tensor for images, an array for texts; NaN where the server had none,
        explained with its reasons and details.

        Raises:
            UnavailableError: no server answered.
            RewardError: a server refused the request.
        """
        modality = modality_of(self.card.modality, samples)
        size = self._request_size(samples)
        parts = [range(at, min(at + size, len(samples))) for at in range(0, len(samples), size)]

        stop = threading.Event()

        def score(rows: range) -> Answer:
            part = {name: [values[row] for row in rows] for name, values in columns.items()}
            return self._score(modality.take(samples, rows), [prompts[i] for i in rows], part, stop)

        values, reasons, details = modality.missing(samples), {}, {}
        executor = ThreadPoolExecutor(REQUESTS_PER_SERVER * len(self._servers))
        try:
            for rows, answer in zip(parts, executor.map(score, parts), strict=True):
                scores = modality.numbers(answer.rewards, keep_graph=False)
                values = modality.place(values, rows, scores)
                reasons |= renumbered(answer.failures, rows)
                details |= renumbered(answer.details, rows)
        finally:  # after a failure, or Ctrl-C, the other requests of the batch are not sent again
            stop.set()
            executor.shutdown(cancel_futures=True)
        return Explained(values, reasons, details) if reasons or details else values

    def __getstate__(self) -> dict[str, Any]:
        """Without connections, locks and what was seen of the servers."""
        return {name: value for name, value in vars(self).items() if name != "_servers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As unpickled: the servers are not asked before the first batch."""
        vars(self).update(state)
        self._servers = Servers(self.urls, self.timeout, self.retries)

    def _request_size(self, samples: Any) -> int:
        """Samples of one request: what was asked for, if the server takes so much."""
        if self.card.group:
            return max(1, len(samples))
        fitting = self.card.max_bytes // max(1, wire.bytes_per_sample(samples))
        return max(1, min(self.batch_size, self.card.max_samples, fitting))

    def _score(
        self,
        samples: Any,
        prompts: list[str],
        columns: dict[str, list[Any]],
        stop: threading.Event,
    ) -> Answer:
        body, kind = wire.encode_request(samples, prompts, columns, self.encoding)
        call = Call("POST", self._path(), body, {**self._headers(), "Content-Type": kind})
        decode = partial(wire.decode_answer, count=len(prompts))
        return self._decoded(decode, call, self.patience, stop)

    def _fetch_card(self) -> card.Card:
        call = Call("GET", self._path(), headers=self._headers())
        return self._decoded(card.decode, call, min(self.patience, MAKING_SECONDS))

    def _decoded(
        self,
        decode: Callable[[bytes], T],
        call: Call,
        patience: float,
        stop: threading.Event | None = None,
    ) -> T:
        where = f"remote reward '{self.name}'"
        try:
            return decode(self._servers.ask(call, patience, stop))
        except RewardError as error:
            raise type(error)(f"{where}: {error}") from error
        except ValueError as error:
            urls = " or ".join(self.urls)
            raise RewardError(f"{where}: {urls} is not a server of rewards: {error}") from error

    def _path(self) -> str:
        return f"/rewards/{quote(self.name, safe='')}"

    def _headers(self) -> dict[str, str]:
        token = os.environ.get(self.token_env, "")
        return {"Authorization": f"Bearer {token}"} if token else {}
