"""What `import ddpo` offers, and how little it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ddpo

PACKAGE = Path(ddpo.__file__).parent


def test_the_public_names_are_these() -> None:
    assert ddpo.__all__ == [
        "Policy",
        "Trajectory",
        "load_config",
        "sample",
        "train",
        "write_gallery",
    ]


@pytest.mark.parametrize("name", ddpo.__all__)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    public = getattr(ddpo, name)
    assert callable(public)
    assert public.__name__ == name
    assert public.__module__.startswith("ddpo.")
    assert public.__doc__


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'ddpo' has no attribute 'tarin'"):
        ddpo.tarin  # noqa: B018


def test_no_module_bears_the_name_of_what_the_package_exports() -> None:
    modules = {path.stem for path in PACKAGE.iterdir()}
    assert {"trajectory", "training"} < modules
    assert modules.isdisjoint(ddpo.__all__)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a statement imports, in an interpreter of its own."""
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_is_instant() -> None:
    loaded = loaded_by("import ddpo, rewards")
    assert {"ddpo", "rewards"} < loaded
    assert loaded.isdisjoint({"torch", "numpy", "diffusers", "transformers", "pydantic", "PIL"})


def test_a_configuration_is_read_without_torch() -> None:
    loaded = loaded_by("import ddpo; ddpo.load_config")
    assert "pydantic" in loaded
    assert loaded.isdisjoint({"torch", "diffusers", "transformers"})


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
