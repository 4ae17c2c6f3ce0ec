"""The format between client and server: what a request to score holds, and what the answer holds.

A request is `application/json`, with texts, or PNG files in base64; or `multipart/form-data`, with
the JSON in a part `request` and the images in parts `samples`, one `.npy` or one PNG each. Nothing
is ever pickled. An answer is `{"rewards": [number or null], "failures": {"row": "reason"}}`, with
`"details": {"row": …}` where the reward tells any.
"""

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rewards.errors import RewardError
from rewards.modality import modality_of, text
from rewards.scoring import Scored

Encoding = Literal["npy", "png"]


class Form(BaseModel):
    """The JSON of a request: a prompt for each sample, columns, and samples unless in parts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompts: list[str]
    texts: list[str] | None = None
    images: list[str] | None = None
    columns: dict[str, list[Any]] = {}


@dataclass(frozen=True)
class Answer:
    """Rewards, NaN where there is none, the reason for each row without one, and details."""

    rewards: list[float]
    failures: dict[int, str]
    details: dict[int, Any]


class _AnswerForm(BaseModel):
    rewards: list[float | None]
    failures: dict[int, str] = {}
    details: dict[int, Any] = {}


def encode_request(
    samples: Any, prompts: Sequence[str], columns: Mapping[str, Sequence[Any]], encoding: Encoding
) -> tuple[bytes, str]:
    """The body of a request, and its content type.

    Raises:
        RewardError: a column holds what JSON cannot.
    """
    form: dict[str, Any] = {"prompts": list(prompts)}
    form["columns"] = {name: _plain(name, values) for name, values in columns.items()}
    if modality_of("any", samples) is text:
        return json.dumps({**form, "texts": list(samples)}).encode(), "application/json"
    parts = [("application/json", 'name="request"', json.dumps(form).encode())]
    for name, data in _files(samples, encoding):
        described = f'name="samples"; filename="{name}"'
        parts.append(("application/octet-stream", described, data))
    return _multipart(parts)


def bytes_per_sample(samples: Any) -> int:
    """Of an image, at most, in a request; 0 for texts, which are small."""
    if not len(samples) or modality_of("any", samples) is text:
        return 0
    return 4 * samples[0].numel()


def encode_answer(scored: Scored) -> bytes:
    """The body of an answer; a float32 comes out of it as it went in."""
    numbers = scored.values.tolist()
    answer = {
        "rewards": [None if math.isnan(number) else number for number in numbers],
        "failures": {str(failure.row): failure.reason for failure in scored.failures},
        **({"details": scored.details} if scored.details else {}),
    }
    return json.dumps(answer, allow_nan=False).encode()


def decode_answer(body: bytes, count: int) -> Answer:
    """What a server answered for `count` samples.

    Raises:
        ValueError: it is not such an answer.
    """
    try:
        form = TypeAdapter(_AnswerForm).validate_json(body)
    except ValidationError as error:
        raise ValueError(f"its answer is malformed: {first_problem(error)}") from error
    if len(form.rewards) != count:
        raise ValueError(f"it answered {len(form.rewards)} numbers for {count} samples")
    numbers = [math.nan if number is None else number for number in form.rewards]
    return Answer(numbers, form.failures, form.details)


def first_problem(error: ValidationError) -> str:
    """Where and what is wrong with a JSON document, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _plain(name: str, values: Sequence[Any]) -> list[Any]:
    try:
        json.dumps(list(values), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RewardError(f"column '{name}' cannot be sent as JSON: {error}") from error
    return list(values)


def _files(images: Any, encoding: Encoding) -> list[tuple[str, bytes]]:
    # Texts are scored without a tensor library.
    if encoding == "npy":
        from rewards.remote import npy

        return [("samples.npy", npy.encode(images))]
    from rewards.image import png

    return [(f"{row}.png", png.encode(image)) for row, image in enumerate(images)]


def _multipart(parts: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    lines = []
    for kind, described, data in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {described}\r\n"
        lines += [f"{head}Content-Type: {kind}\r\n\r\n".encode(), data, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}"
