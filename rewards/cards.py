"""Definitions as text: the card of one reward, and the table in the documentation."""

import inspect
import types
import typing
from collections.abc import Iterable
from math import inf, isinf
from typing import Any

from rewards.definition import Definition, Weights
from rewards.options import options_of
from rewards.registry import definition


def card(shown: Definition) -> str:
    """What a reward declares and the options it takes, for `python -m rewards show`."""
    company = "with all samples of a prompt" if shown.group else "each alone"
    facts = {
        "name": shown.name,
        "what": shown.description,
        "scores": f"{_samples(shown)}, {company}",
        "needs a prompt": _yes(shown.needs_prompt),
        "columns": ", ".join(shown.columns) or "none",
        "range": _range(shown),
        "direction": _direction(shown),
        "deterministic": _yes(shown.deterministic),
        "differentiable": _yes(shown.differentiable),
        "processes help": _yes(shown.cpu_bound),
        "licence": shown.licence or "no weights",
        "weights": "; ".join(map(_weights, shown.weights)) or "none",
        "defined at": shown.place,
    }
    facts["options"] = "none"
    width = max(map(len, facts))
    options = [_option(name, parameter) for name, parameter in options_of(shown).items()]
    facts["options"] = f"\n{'':{width}}  ".join(options) or "none"
    return "\n".join(f"{fact:{width}}  {value}" for fact, value in facts.items())


def table(names: Iterable[str]) -> str:
    """A Markdown table with a row for each name."""
    head = ["name", "what it measures", "scores", "columns", "range", "gradient", "licence"]
    rows = [_row(definition(name)) for name in names]
    lines = [[*head, "options"], ["---"] * (len(head) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(shown: Definition) -> list[str]:
    options = options_of(shown).items()
    needed = [f"**`{name}`**" for name, option in options if option.default is option.empty]
    others = [f"`{name}`" for name, option in options if option.default is not option.empty]
    return [
        f"`{shown.name}`",
        shown.description,
        f"{_samples(shown)}{', in groups' if shown.group else ''}",
        ", ".join(f"`{column}`" for column in shown.columns),
        _range(shown),
        "yes" if shown.differentiable else "",
        shown.licence,
        ", ".join(needed + others),
    ]


def _samples(shown: Definition) -> str:
    return "images or texts" if shown.modality == "any" else f"{shown.modality}s"


def _direction(shown: Definition) -> str:
    turned = "" if shown.direction == "higher" else ": the sign of what it measures is turned"
    return f"higher is better{turned}"


def _weights(weights: Weights) -> str:
    pinned = f"sha256 {weights.sha256}" if weights.sha256 else "no checksum pinned"
    return f"{weights.source} ({pinned})"


def _option(name: str, parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{name}: {_type(parameter.annotation)}{default}"


def _type(annotation: Any) -> str:
    """A type as one writes it, without the bounds that pydantic checks."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type, inner))
    if annotation is types.NoneType:
        return "None"
    return inspect.formatannotation(annotation)


def _range(shown: Definition) -> str:
    low, high = shown.range or (-inf, inf)
    if isinf(low) and isinf(high):
        return f"any ({shown.unit})" if shown.unit else "any"
    if isinf(low):
        bounds = f"at most {high:g}"
    elif isinf(high):
        bounds = f"at least {low:g}"
    else:
        bounds = f"{low:g} to {high:g}"
    return f"{bounds} {shown.unit}".strip()


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
