"""Small configurations, as mappings and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MINIMAL = """
name: a-run
policy: {kind: diffusion, model: shapes}
prompts: {set: shapes}
rewards: {jpeg_compressibility: 1.0}
algorithm: {kind: ddpo}
train: {iterations: 3, samples_per_iteration: 8}
"""


def tree(**sections: Any) -> dict[str, Any]:
    """A minimal configuration; a mapping given for a section is merged into it."""
    base = yaml.safe_load(MINIMAL)
    for name, value in sections.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        base[name] = {**base[name], **value} if both else value
    return base


def write(folder: Path, text: str) -> Path:
    """A configuration's file."""
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path
