"""From a section of the configuration to its prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts.arrow import read_parquet
from ddpo.prompts.composing import compose
from ddpo.prompts.delimited import read_csv, read_tsv
from ddpo.prompts.hugging_face import read_dataset
from ddpo.prompts.json_lines import read_json_lines
from ddpo.prompts.named_sets import named_set
from ddpo.prompts.prompt_set import PromptSet
from ddpo.prompts.table import Table
from ddpo.prompts.text_files import read_list

TABLES: dict[str, Callable[[Path, str], Table]] = {
    ".jsonl": read_json_lines,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
"""Suffixes of files with columns, and what reads them."""

LISTS = (".txt", "")
"""Suffixes of files of one prompt a line."""


def load_prompts(config: PromptsConfig, key: str = "prompts") -> PromptSet:
    """The prompts that a configuration names.

    Args:
        config: a section of the configuration.
        key: of the section, for messages, such as `evaluation.prompts`.

    Raises:
        UserError: an unknown set; a file or dataset that cannot be read or holds no prompt; a row
            that has none, or a column that is not there.
    """
    if config.dataset is not None:
        return compose(read_dataset(config, key), config, key)
    file = config.file
    if file is not None and (read := _reader(file, f"{key}.file")):
        return compose(read(file, f"{key}.file"), config, key)
    if file is None:
        table = named_set(config.set or "", f"{key}.set")
        if len(table.columns) > 1:
            return compose(table, config, key)
        texts = table.columns["prompt"]
    else:
        texts = read_list(file, f"{key}.file")
    _refuse_columns(config, key)
    return PromptSet(texts[: config.limit])


def _reader(file: Path, key: str) -> Callable[[Path, str], Table] | None:
    """What reads a file with columns; None for one prompt a line."""
    suffix = file.suffix.lower()
    if suffix not in TABLES and suffix not in LISTS:
        raise UserError(
            f"{key}: {file}: a file {suffix!r} is of no known kind; write one prompt a line into a "
            f".txt, or columns into one of {', '.join(TABLES)}"
        )
    return TABLES.get(suffix)


def _refuse_columns(config: PromptsConfig, key: str) -> None:
    """Refuse what speaks of columns where there are none."""
    for name in ("template", "column", "rename"):
        if getattr(config, name) is not None:
            source = f"the set {config.set!r}" if config.file is None else str(config.file)
            raise UserError(
                f"{key}.{name}: {source} is prompts without columns; leave the key out, or name a "
                f"file with columns ({', '.join(TABLES)})"
            )
