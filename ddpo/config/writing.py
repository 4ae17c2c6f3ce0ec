"""From a configuration back to plain values and YAML, and where two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ddpo.config.schema import SCHEMA, Config


def config_tree(config: Config) -> dict[str, Any]:
    """The resolved configuration as plain JSON types; `decode_config` reads it back to an equal
    one.
    """
    return SCHEMA.dump_python(config, mode="json")


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(config_tree(config), sort_keys=False, allow_unicode=True)


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Paths at which two configuration trees differ, such as `train.learning_rate`."""
    paths: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            paths += differing_keys(left, right, f"{prefix}{key}.")
        elif left != right:
            paths.append(f"{prefix}{key}")
    return paths
