"""Columns that rewards declare, and prompts may lack."""

from __future__ import annotations

from collections.abc import Iterable

from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.prompts import PromptSet
from ddpo.prompts.table import named
from rewards.definition import Definition

Declared = Iterable[tuple[str, Definition]]
"""What rewards are called, and what they declare."""


def refuse_missing_columns(
    config: Config, declared: Declared, prompts: PromptSet, heldout: PromptSet
) -> None:
    """Every reward is given the columns that it declares, in training and in held-out samples.

    Raises:
        UserError: names the section of prompts, the rewards, the columns, and those there are.
    """
    declared = list(declared)
    refuse_lacking(declared, prompts, "prompts")
    if config.evaluation.prompts is not None and config.evaluation.samples:
        refuse_lacking(declared, heldout, "evaluation.prompts")


def refuse_lacking(declared: Declared, prompts: PromptSet, key: str) -> None:
    """The same for one set of prompts, which the configuration has under `key`.

    Raises:
        UserError: see `refuse_missing_columns`.
    """
    missing = [
        f"reward {name!r} needs the column {column!r}"
        for name, definition in declared
        for column in definition.columns
        if column not in prompts.columns
    ]
    if missing:
        there = f"have only {named(prompts.columns)}" if prompts.columns else "have no columns"
        them = "it" if len(missing) == 1 else "them"
        raise UserError(
            f"{key}: {', '.join(missing)}, and the prompts {there}; name a file or dataset with "
            f"{them}: see docs/prompts.md"
        )
