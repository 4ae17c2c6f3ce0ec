"""From a table to prompts: a column of them, or a template filled in row by row."""

from __future__ import annotations

from typing import Any

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts.prompt_set import PromptSet
from ddpo.prompts.table import Table
from ddpo.prompts.template import Template, parse_template

DEFAULT_COLUMN = "prompt"


def compose(table: Table, config: PromptsConfig, key: str) -> PromptSet:
    """The prompts of the first `limit` rows, with columns for the rewards.

    With a template these are all columns of the table, without one all but the prompts' own.

    Args:
        table: with at least one row, or it is refused.
        config: the section that says how.
        key: of the section, for messages, such as `prompts`.

    Raises:
        UserError: there is no row, a column is not there, or a prompt is not text or is empty.
    """
    table = table.first(config.limit)
    if not len(table):
        raise UserError(f"{table.key}: {table.name} holds no prompt; write one a {table.unit}")
    if config.template is not None:
        template = _template(config.template, table, f"{key}.template")
        texts = [_filled(template, table, row) for row in range(len(table))]
        return PromptSet(texts, _renamed(dict(table.columns), table, config, key))
    column = config.column or DEFAULT_COLUMN
    if column not in table.columns:
        raise UserError(
            f"{key}.column: {table.no_column(column)}; name one of them, or write {key}.template"
        )
    texts = [_prompt(table, row, column) for row in range(len(table))]
    rest = {name: values for name, values in table.columns.items() if name != column}
    return PromptSet(texts, _renamed(rest, table, config, key))


def _renamed(
    columns: dict[str, list[Any]], table: Table, config: PromptsConfig, key: str
) -> dict[str, list[Any]]:
    """The columns under the names that rewards know."""
    names = config.rename or {}
    for name, new in names.items():
        if name not in columns:
            raise UserError(f"{key}.rename: {table.no_column(name)}")
        if new in columns and new not in names:
            raise UserError(f"{key}.rename: {table.name} has a column {new!r} already")
    return {names.get(name, name): values for name, values in columns.items()}


def _template(text: str, table: Table, key: str) -> Template:
    """A template all of whose columns are there."""
    try:
        template = parse_template(text)
    except ValueError as error:
        raise UserError(f"{key}: {_short(text)} is not a template: {error}") from error
    for name in template.columns:
        if name not in table.columns:
            raise UserError(f"{key}: {_short(text)}: {table.no_column(name)}")
    return template


def _filled(template: Template, table: Table, row: int) -> str:
    """The prompt of one row; numbers are put in as Python writes them, a list of texts with one a
    line.
    """
    parts = []
    for piece in template.pieces:
        parts.append(piece.literal)
        if (name := piece.column) is not None:
            value = table.columns[name][row]
            if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
                value = "\n".join(value)
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise table.problem(
                    row, f"{name!r} is {_kind(value)}, and a template takes text, texts and numbers"
                )
            parts.append(str(value)[: piece.most])
    return _usable("".join(parts), table, row)


def _prompt(table: Table, row: int, column: str) -> str:
    """The text of one row."""
    value = table.columns[column][row]
    if not isinstance(value, str):
        raise table.problem(row, f"the prompt {column!r} is {_kind(value)}, and must be a text")
    return _usable(value, table, row)


def _usable(prompt: str, table: Table, row: int) -> str:
    """The prompt, unless there is none that a tokenizer could read."""
    if not prompt.strip():
        raise table.problem(row, "the prompt is empty; write one, or take the row out")
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):  # JSON lets halves of pairs pass
        raise table.problem(row, "the prompt holds half of a surrogate pair; take it out")
    return prompt


def _kind(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "missing (null)"
    return f"{value!r:.60}"


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}…"
