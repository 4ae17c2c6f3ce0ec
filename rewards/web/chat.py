"""A chat model behind an OpenAI-compatible endpoint: one question with one picture, one answer."""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import tenacity

from rewards.web.request import Refused, RequestError, request
from rewards.web.retrying import retrying, temporary


@dataclass(frozen=True)
class Chat:
    """An endpoint and how it is asked.

    Attributes:
        base_url: up to `/v1`.
        fields: of each request, beside its messages: model, temperature, …
        key: sent as a bearer token; empty for a server without one.
        timeout: seconds for one request, with its answer.
        retries: after a time-out, a lost connection, or an answer of status 429 or 5xx.
    """

    base_url: str
    fields: dict[str, Any]
    key: str = field(repr=False)
    timeout: float
    retries: int

    def ask(self, question: str, picture: bytes, pace: "Pace") -> str:
        """The text of the answer to a question about a PNG file.

        Raises:
            RequestError: there was no answer.
            ValueError: the answer is not one of a chat.
        """
        body = json.dumps({**self.fields, "messages": [_message(question, picture)]}).encode()
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"

        def once() -> bytes:
            pace.wait()
            url = f"{self.base_url.rstrip('/')}/chat/completions"
            return request("POST", url, timeout=self.timeout, body=body, headers=headers)

        enough = tenacity.stop_after_attempt(self.retries + 1)
        return _text(retrying(_may_pass, enough, time.sleep)(once))


class Pace:
    """At most `per_minute` requests a minute, evenly; None is no limit. Threads may share it."""

    def __init__(self, per_minute: float | None) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Until the next request may be sent."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        time.sleep(turn - now)


def _may_pass(error: RequestError) -> bool:
    return temporary(error) or (isinstance(error, Refused) and error.status >= 500)


def _message(question: str, picture: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": url}}]
    return {"role": "user", "content": parts}


def _text(body: bytes) -> str:
    try:
        message = json.loads(body)["choices"][0]["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError("the answer is not one of a chat") from error
    if refusal or not isinstance(content, str):
        raise ValueError(f"the model refused: {refusal}" if refusal else "the answer has no text")
    return content
