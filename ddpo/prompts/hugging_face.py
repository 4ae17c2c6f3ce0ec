"""Datasets of Hugging Face: a folder that `save_to_disk` wrote, or a repository on the hub. Needs
the package `datasets`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts.arrow import from_arrow
from ddpo.prompts.table import Table

DEFAULT_SPLIT = "train"


def read_dataset(config: PromptsConfig, key: str) -> Table:
    """The first `limit` rows of a split, pictures and sounds as the bytes they are kept in.

    Args:
        config: which dataset.
        key: of `config`, for messages, such as `prompts`.

    Raises:
        UserError: `datasets` is not installed; or there is no such dataset or split, or it cannot
            be read.
    """
    name = config.dataset or ""
    try:
        datasets: Any = import_module("datasets")
    except ImportError as error:
        raise UserError(
            f"{key}.dataset: {name} needs the package datasets, which is not installed: "
            f"pip install 'ddpo[data]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    if Path(name).is_dir():
        split = _from_folder(datasets, config, key)
    elif name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise UserError(f"{key}.dataset: there is no folder {name!r}")
    else:
        split = _from_hub(datasets, config, key)
    if config.limit is not None:
        split = split.select(range(min(config.limit, len(split))))
    return from_arrow(split.with_format("arrow")[:], f"{key}.dataset", name)


def _from_folder(datasets: Any, config: PromptsConfig, key: str) -> Any:
    """A split of a folder; without splits, the folder is one."""
    folder, split = config.dataset or "", config.split
    if config.config is not None:
        raise UserError(f"{key}.config: {folder} is a folder, which has none; leave the key out")
    try:
        found = datasets.load_from_disk(folder)
    # What a damaged folder raises depends on the file; all that is asked here is to read one.
    except Exception as error:
        raise UserError(
            f"{key}.dataset: {folder} cannot be read as what datasets' save_to_disk writes: "
            f"{_reason(error)}; of files in other formats, name one as {key}.file"
        ) from error
    if isinstance(found, datasets.DatasetDict):
        wanted = split or DEFAULT_SPLIT
        if wanted not in found:
            raise UserError(
                f"{key}.split: {folder} has no split {wanted!r}; its splits: {', '.join(found)}"
            )
        return found[wanted]
    if split is not None and split != str(found.split):
        raise UserError(
            f"{key}.split: {folder} is one table without splits, and not {split!r}; leave the key "
            f"out"
        )
    return found


def _from_hub(datasets: Any, config: PromptsConfig, key: str) -> Any:
    """A split of a repository, from the cache or the hub."""
    try:
        return datasets.load_dataset(
            config.dataset, config.config, split=config.split or DEFAULT_SPLIT
        )
    # The hub's client, and the readers of whatever format the files have, share no error.
    except Exception as error:
        raise UserError(
            f"{key}.dataset: {config.dataset} is no folder, and could not be had from the hub: "
            f"{_reason(error)}; check the name, or name a folder that save_to_disk wrote"
        ) from error


def _reason(error: Exception) -> str:
    """An error in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
