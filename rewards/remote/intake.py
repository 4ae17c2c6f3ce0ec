"""From the bytes of a stranger to a batch: every limit is checked before what it limits is done."""

import asyncio
import base64
import binascii
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Receive

from rewards.errors import RewardError
from rewards.remote.wire import Form, first_problem
from rewards.scoring import Batch, Reward

RECEIVE_SECONDS = 300
"""A client that takes longer to send its body is cut off."""
REQUESTS_AT_ONCE = 4
"""Bodies of the largest size that are in hand at once; small ones may be many more."""


class Rejected(Exception):
    """A request that is not served: the status of HTTP, one line, and after how many seconds it
    may be sent again, if ever.
    """

    def __init__(self, status: int, line: str, wait: int | None = None) -> None:
        super().__init__(line)
        self.status = status
        self.line = line
        self.wait = wait


@dataclass(frozen=True)
class Limits:
    """Of one request: samples, and bytes of its body; images hold a third as many pixels, which
    is what the body could hold without compression.
    """

    max_samples: int
    max_bytes: int

    @property
    def max_pixels(self) -> int:
        """Of all images of a request."""
        return self.max_bytes // 3


class Budget:
    """Bytes of all bodies in hand, so that many large requests cannot fill the memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = REQUESTS_AT_ONCE * limits.max_bytes

    @contextmanager
    def hold(self, request: Request) -> Iterator[None]:
        """Room for a body; a client that does not state its length gets the largest."""
        size = int(request.headers.get("content-length", self._limits.max_bytes))
        if size > self._limits.max_bytes:
            raise _too_large(size, self._limits)
        if size > self._left:
            raise Rejected(429, "the server has too many large requests in hand", wait=1)
        self._left -= size
        try:
            yield
        finally:
            self._left += size


async def receive(request: Request, limits: Limits) -> tuple[Form, list[bytes]]:
    """The JSON of a request, and its files of samples, still encoded.

    Raises:
        Rejected: the content type is not served, or the body is too large, too slow or malformed.
    """
    counted = Request(request.scope, _counting(request.receive, limits))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    readers = {"application/json": _read_json, "multipart/form-data": _read_parts}
    if kind not in readers:
        raise Rejected(415, f"the content type '{kind}' is not served: send {' or '.join(readers)}")
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            form, files = await readers[kind](counted, limits)
    except TimeoutError as error:
        raise Rejected(408, f"the body did not come within {RECEIVE_SECONDS} s") from error
    for count in (len(form.prompts), len(files)):
        if count > limits.max_samples:
            raise Rejected(413, f"{count} samples; the limit of a request is {limits.max_samples}")
    return form, files


def decode(form: Form, files: list[bytes], reward: Reward, limits: Limits) -> Batch:
    """What `reward` is called with.

    Raises:
        Rejected: it is not what the reward scores.
    """
    given = [form.texts is not None, form.images is not None, bool(files)]
    if given.count(True) != 1:
        raise Rejected(422, "give samples once: 'texts', 'images', or parts named 'samples'")
    if form.images is not None:
        files = [_from_base64(image) for image in form.images]
    samples = form.texts if form.texts is not None else _images(files, limits)
    try:
        return reward.checked(samples, form.prompts, form.columns)
    except RewardError as error:
        raise Rejected(422, str(error)) from error


def _counting(receive: Receive, limits: Limits) -> Receive:
    """`receive`, stopped when more comes than may: a stated length may be a lie, or missing."""
    received = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limits.max_bytes:
            raise _too_large(received, limits)
        return message

    return counted


def _too_large(size: int, limits: Limits) -> Rejected:
    return Rejected(413, f"a body of {size} bytes or more; the limit is {limits.max_bytes}")


async def _read_json(request: Request, limits: Limits) -> tuple[Form, list[bytes]]:
    return _form(await request.body()), []


async def _read_parts(request: Request, limits: Limits) -> tuple[Form, list[bytes]]:
    most = {"max_files": limits.max_samples, "max_fields": 1, "max_part_size": limits.max_bytes}
    try:
        async with request.form(**most) as parts:
            if unknown := set(parts) - {"request", "samples"}:
                raise Rejected(422, f"unknown part '{unknown.pop()}': send 'request' and 'samples'")
            described = [await _content(part) for part in parts.getlist("request")]
            files = [await _content(part) for part in parts.getlist("samples")]
    except (MultiPartException, HTTPException) as error:
        detail = error.detail if isinstance(error, HTTPException) else error.message
        raise Rejected(422, f"the multipart body is malformed: {detail}") from error
    if len(described) != 1:
        raise Rejected(422, f"send one part 'request' with the JSON, not {len(described)}")
    return _form(described[0]), files


async def _content(part: UploadFile | str) -> bytes:
    return part.encode() if isinstance(part, str) else await part.read()


def _form(body: bytes) -> Form:
    try:
        return Form.model_validate_json(body)
    except ValidationError as error:
        raise Rejected(422, f"the JSON is malformed: {first_problem(error)}") from error


def _from_base64(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected(422, f"an image is not base64: {error}") from error


def _images(files: list[bytes], limits: Limits) -> Any:
    # Texts are scored without a tensor library.
    from rewards.remote import images
    from rewards.remote.npy import TooLarge

    try:
        return images.decode(files, limits.max_samples, limits.max_pixels)
    except TooLarge as error:
        raise Rejected(413, str(error)) from error
    except ValueError as error:
        raise Rejected(422, str(error)) from error
