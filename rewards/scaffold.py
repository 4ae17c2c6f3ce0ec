"""A new reward as a package of its own, which others can install: `python -m rewards new NAME`."""

import importlib.util
import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from rewards import registry
from rewards.errors import RewardError

# The option of the example in each template, as a configuration writes it.
OPTIONS = {"image": "colour: red", "text": "word: please"}


def new(name: str, folder: str | Path = ".", modality: Literal["image", "text"] = "image") -> Path:
    """Write the folder `name` with an installable package, its test and a README; return its path.

    The reward in it is an example of ten lines that keeps the contract.

    Raises:
        RewardError: the name is malformed or taken, something of that name is in the folder, or
            nothing can be written there.
    """
    made = Path(folder) / name
    _refuse_malformed(name)
    if made.exists():
        raise RewardError(f"{made} is there already: choose another name, or remove it first")
    _refuse_taken(name)
    try:
        _write(made, name, modality)
    except OSError as error:
        raise RewardError(
            f"{made} cannot be written: {error.strerror}; choose another folder"
        ) from error
    return made


def _write(made: Path, name: str, modality: str) -> None:
    (made / "tests").mkdir(parents=True)
    contents = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{name}.py": f"{modality}.py",
        f"tests/test_{name}.py": f"test_{modality}.py",
    }
    for file, template in contents.items():
        text = Template(_read(template)).substitute(name=name, option=OPTIONS[modality])
        (made / file).write_text(text, encoding="utf-8")


def _refuse_malformed(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise RewardError(
            f"'{name}' cannot name a reward: lower-case letters, digits and underscores, a letter "
            "first, and no word of Python's own"
        )


def _refuse_taken(name: str) -> None:
    if claimed := registry.claims(name):
        raise RewardError(f"the name '{name}' is taken by {claimed[0]}: choose another")
    module = importlib.util.find_spec(name)
    if module:
        # A folder without `__init__.py` is a module too, of no file.
        places = [module.origin or "", *(module.submodule_search_locations or ())]
        raise RewardError(
            f"the name '{name}' is that of a module, {next(filter(None, places))}, which could "
            "then not be imported any more: choose another"
        )


def _read(template: str) -> str:
    return (files("rewards") / "templates" / f"{template}.template").read_text(encoding="utf-8")
