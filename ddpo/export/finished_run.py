"""A run that has ended, which is the only kind that can be exported or uploaded."""

from __future__ import annotations

from pathlib import Path

from ddpo.config.reading import load_config
from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.run_folder import RunFolder


def open_finished(path: Path) -> tuple[RunFolder, Config]:
    """The folder of a finished run, and its configuration.

    Raises:
        UserError: there is no run, or it has no `final/` yet.
    """
    folder = RunFolder(path)
    if not folder.config.exists():
        raise UserError(f"{path} is not a run folder: it has no {folder.config.name}")
    if not folder.final.is_dir():
        raise UserError(
            f"{path} has no {folder.final.name}/ yet; finish it with `ddpo train {folder.config} "
            f"--resume`"
        )
    return folder, load_config(folder.config)
