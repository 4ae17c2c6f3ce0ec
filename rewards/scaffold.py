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
        RewardError: the name is malformed or taken, or the folder is there already.
    """
    _refuse(name)
    made = Path(folder) / name
    try:
        made.mkdir(parents=True)
    except FileExistsError as error:
        raise RewardError(f"{made} is there already: nothing was written") from error
    (made / "tests").mkdir()
    contents = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{name}.py": f"{modality}.py",
        f"tests/test_{name}.py": f"test_{modality}.py",
    }
    for file, template in contents.items():
        text = Template(_read(template)).substitute(name=name, option=OPTIONS[modality])
        (made / file).write_text(text, encoding="utf-8")
    return made


def _refuse(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise RewardError(
            f"'{name}' cannot name a reward: lower-case letters, digits and underscores, a letter "
            "first, and no word of Python's own"
        )
    if claimed := registry.claims(name):
        raise RewardError(f"the name '{name}' is taken by {claimed[0]}: choose another")
    module = importlib.util.find_spec(name)
    if module:
        raise RewardError(
            f"the name '{name}' is that of a module, {module.origin}, which could then not be "
            "imported any more: choose another"
        )


def _read(template: str) -> str:
    return (files("rewards") / "templates" / f"{template}.template").read_text(encoding="utf-8")
