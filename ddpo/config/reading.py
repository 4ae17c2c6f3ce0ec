"""From a YAML file and overrides to a configuration: one strict call, which reports every error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ddpo.config.contradictions import contradictions
from ddpo.config.problems import problem
from ddpo.config.schema import SCHEMA, Config
from ddpo.errors import ConfigError
from rewards.yaml_text import override, read_yaml


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Decode a YAML file with `section.key=value` overrides.

    Args:
        path: the YAML file.
        overrides: applied in order, on top of the file; values are YAML (`lora=null`, `watch=[a,
            b]`).

    Raises:
        ConfigError: the file cannot be read, or holds errors: all are reported at once, each with
            the key, the value and the remedy.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), ["is not YAML: it is not UTF-8 text"]) from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, source: str, overrides: Sequence[str] = ()) -> Config:
    """Decode the text of a YAML file; `source` is its name in messages.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        tree = read_yaml(text) or {}
    except ValueError as error:
        raise ConfigError(source, [f"is not YAML: {error}"]) from error
    if not isinstance(tree, dict):
        raise ConfigError(source, ["is not a mapping of sections (name:, policy:, train:, …)"])
    try:
        for word in overrides:
            override(tree, word)
    except ValueError as error:
        raise ConfigError(source, [str(error)]) from error
    return decode_config(tree, source)


def decode_config(tree: Mapping[str, Any], source: str = "configuration") -> Config:
    """Decode a mapping, as YAML or JSON gives it.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        config = SCHEMA.validate_python(dict(tree))
    except ValidationError as error:
        problems = [problem(detail, tree) for detail in error.errors(include_url=False)]
        raise ConfigError(source, problems) from error
    if problems := contradictions(config):
        raise ConfigError(source, problems)
    return config
