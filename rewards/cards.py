"""Definitions as text: the card of one reward, and the table in the documentation."""

import inspect
import typing
from collections.abc import Iterable
from math import inf, isinf

from rewards.options import options_of
from rewards.registry import Definition, definition


def card(shown: Definition) -> str:
    """What a reward declares and the options it takes, for `python -m rewards show`."""
    facts = {
        "name": shown.name,
        "what": shown.description,
        "scores": f"{shown.modality}s, {'as a group' if shown.group else 'each alone'}",
        "columns": ", ".join(shown.columns) or "none",
        "range": _range(shown),
        "deterministic": _yes(shown.deterministic),
        "differentiable": _yes(shown.differentiable),
        "licence": shown.licence or "no weights",
        "defined at": shown.place,
        "options": "; ".join(_options(shown)) or "none",
    }
    width = max(map(len, facts))
    return "\n".join(f"{fact:{width}}  {value}" for fact, value in facts.items())


def table(names: Iterable[str]) -> str:
    """A Markdown table with a row for each name."""
    head = ["name", "what it measures", "scores", "range", "differentiable", "options"]
    rows = [head, ["---"] * len(head), *(_row(definition(name)) for name in names)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(shown: Definition) -> list[str]:
    options = ", ".join(f"`{option}`" for option in _options(shown))
    differentiable = _yes(shown.differentiable)
    scores = f"{shown.modality}s"
    return [f"`{shown.name}`", shown.description, scores, _range(shown), differentiable, options]


def _options(shown: Definition) -> list[str]:
    return [_option(name, parameter) for name, parameter in options_of(shown).items()]


def _option(name: str, parameter: inspect.Parameter) -> str:
    kind = parameter.annotation
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    default = "" if parameter.default is parameter.empty else f" = {parameter.default}"
    return f"{name}: {inspect.formatannotation(kind)}{default}"


def _range(shown: Definition) -> str:
    low, high = shown.range or (-inf, inf)
    if isinf(low) and isinf(high):
        bounds = "any"
    elif isinf(low):
        bounds = f"at most {high:g}"
    elif isinf(high):
        bounds = f"at least {low:g}"
    else:
        bounds = f"{low:g} to {high:g}"
    return f"{bounds} {shown.unit}".strip()


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
