"""All rewards and where they come from, as lines; plugins are tried, and reported if broken."""

from collections.abc import Iterator

from rewards import registry
from rewards.errors import RewardError


def lines() -> list[str]:
    """A line for each place that claims a name: the name, the place, and what is wrong with it.

    Built-in rewards are named without being imported. What others define is imported, since nothing
    else can tell whether it works: a plugin that fails costs its own line.
    """
    width = max(map(len, registry.names()))
    return [
        f"{name:{width}}  {claim}{state}"
        for name in registry.names()
        for claim, state in _claims(name)
    ]


def ignored() -> list[str]:
    """A line for each claim to a built-in name: it changes nothing for anybody."""
    return [
        f"{name}: {claim} is ignored: the name is built in"
        for name in registry.BUILT_IN
        for claim in registry.claims(name)[1:]
    ]


def _claims(name: str) -> Iterator[tuple[registry.Claim, str]]:
    claims = registry.claims(name)
    for claim in claims:
        if name not in registry.BUILT_IN:
            yield claim, _state(name)
        elif claim.place == registry.BUILT_IN[name]:
            yield claim, ""
        else:
            yield claim, "  IGNORED: the name is built in; write module:attribute, or rename it"


def _state(name: str) -> str:
    try:
        registry.definition(name)
    except RewardError as error:
        return f"  BROKEN: {error}"
    return ""
