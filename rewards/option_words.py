"""Options of rewards on a command line: words of the form `key=value`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewards.errors import RewardError


def is_option(word: str) -> bool:
    """Whether it is `key=value`, and not a file whose path holds a sign of equality."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier() and not Path(word).exists()


def options_in(words: Sequence[str]) -> dict[str, Any]:
    """Options by name; lists and mappings as in YAML, everything else as text: the reward's own
    types decide.

    Raises:
        RewardError: a word is not `key=value`.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise RewardError(f"option {word!r} is not of the form key=value")
        options[key] = _value(key, text)
    return options


def by_name(words: Sequence[str]) -> list[list[str]]:
    """Each name with the options that follow it.

    Raises:
        RewardError: options stand before any name.
    """
    if is_option(words[0]):
        raise RewardError(f"{words[0]!r} is an option: put the name of its reward before it")
    groups: list[list[str]] = []
    for word in words:
        if groups and is_option(word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _value(key: str, text: str) -> Any:
    if not text.startswith(("[", "{")):
        return None if text == "null" else text
    from rewards.yaml_text import read_yaml

    try:
        return read_yaml(text)
    except ValueError as error:
        raise RewardError(
            f"option {key}={text!r} is not YAML: a list is [a, b], a mapping {{key: value}}"
        ) from error
