"""Options of a reward: read from its signature, checked by declared type, and bound."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from rewards.definition import Definition
from rewards.errors import RewardError, did_you_mean, one_line
from rewards.scoring import Reward


def options_of(definition: Definition) -> dict[str, inspect.Parameter]:
    """The options a reward takes, with resolved annotations, in the order of its signature."""
    factory = definition.factory
    annotated = factory.__init__ if inspect.isclass(factory) else factory
    try:
        types = typing.get_type_hints(annotated, include_extras=True)
    except NameError as error:  # imported under TYPE_CHECKING only
        raise RewardError(
            f"reward '{definition.name}': its annotations need a name that is not there when it "
            f"runs: {error}; import it outside `if TYPE_CHECKING`"
        ) from error
    return {
        name: parameter.replace(annotation=types.get(name, parameter.annotation))
        for name, parameter in definition.options.items()
    }


def check(definition: Definition, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with values of their declared types: "95" becomes 95 for an `int`.

    Raises:
        RewardError: every unknown, missing and bad option, in one line.
    """
    declared = options_of(definition)
    problems = [
        f"unknown option '{name}'{did_you_mean(name, declared) or '.'} Known: {_list(declared)}"
        for name in options
        if name not in declared
    ]
    checked = {}
    for name, parameter in declared.items():
        if name not in options:
            if parameter.default is parameter.empty:
                problems.append(f"option '{name}' is required")
            continue
        try:
            checked[name] = TypeAdapter(parameter.annotation).validate_python(options[name])
        except ValidationError as error:
            problems.append(f"{name}={options[name]!r}: {error.errors()[0]['msg']}")
        except PydanticUserError:
            problems.append(f"option '{name}' has a type that cannot be checked: use a plain one")
    if problems:
        raise RewardError(f"reward '{definition.name}': {'; '.join(problems)}")
    return checked


def build(definition: Definition, options: Mapping[str, Any]) -> Reward:
    """The reward with its options checked and bound; a class loads its model now.

    Raises:
        RewardError: an option is bad, or the class could not be built.
    """
    checked, factory = check(definition, options), definition.factory
    if not isinstance(factory, type):
        return Reward(definition, functools.partial(factory, **checked), checked)
    try:
        made = factory(**checked)
        refined = definition.refine(made, definition) if definition.refine else definition
    except RewardError:
        raise
    # The author's code may raise anything; the user needs the name of the reward.
    except Exception as error:
        message = f"reward '{definition.name}' cannot be made: {one_line(error)}"
        raise RewardError(message) from error
    return Reward(refined, typing.cast(Callable[..., Any], made), checked)


def _list(declared: Mapping[str, Any]) -> str:
    return ", ".join(declared) or "none"
