"""What a server says of a reward: its `Definition` as strict JSON, and the limits of a request."""

from collections.abc import Mapping
from dataclasses import fields, replace
from math import isinf
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from rewards.definition import Definition
from rewards.remote.wire import first_problem

LOCAL = {"factory", "refine"}
"""Fields of a definition that mean nothing to another program."""


class Card(BaseModel):
    """What `GET /rewards/{name}` answers, as far as a client needs it."""

    model_config = ConfigDict(extra="ignore")

    modality: Literal["image", "text", "any"]
    columns: tuple[str, ...]
    range: tuple[float, float] | None
    unit: str
    direction: Literal["higher", "lower"]
    deterministic: bool
    group: bool
    licence: str
    description: str
    fingerprint: str = ""
    max_samples: PositiveInt
    max_bytes: PositiveInt

    def declare(self, definition: Definition) -> Definition:
        """The definition of a client's reward with what the server declares.

        Its place tells rewards apart that are served with other options, so that a cache does too.
        """
        declared = self.model_dump(exclude={"max_samples", "max_bytes", "fingerprint"})
        return replace(definition, place=f"{definition.place} {self.fingerprint}", **declared)


def encode(
    name: str, definition: Definition, limits: Mapping[str, int], fingerprint: str = ""
) -> dict[str, Any]:
    """The card of a reward that is served as `name`; an infinite bound is "inf" or "-inf".

    The fingerprint says what its numbers depend on besides their input.
    """
    card = {f.name: getattr(definition, f.name) for f in fields(definition) if f.name not in LOCAL}
    card["range"] = definition.range and [_bound(bound) for bound in definition.range]
    card["weights"] = [vars(weights) for weights in definition.weights]
    return {**card, "name": name, "fingerprint": fingerprint, **limits}


def decode(body: bytes) -> Card:
    """The card in a server's answer.

    Raises:
        ValueError: it is none.
    """
    try:
        return Card.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(
            f"its answer is not the card of a reward: {first_problem(error)}"
        ) from error


def _bound(bound: float) -> float | str:
    return str(float(bound)) if isinf(bound) else bound
