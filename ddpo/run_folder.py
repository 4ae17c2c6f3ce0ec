"""A run's folder: what lies where, and when it may be written."""

from __future__ import annotations

from pathlib import Path

from ddpo.config.reading import load_config, parse_config
from ddpo.config.schema import Config
from ddpo.config.writing import config_tree, differing_keys, dump_config
from ddpo.errors import UserError


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: Path):
        """Name the paths; nothing is read or written."""
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.final = path / "final"

    @classmethod
    def create(cls, config: Config) -> RunFolder:
        """Begin a new run.

        Raises:
            UserError: the folder exists.
        """
        folder = cls(config.run_folder)
        if folder.path.exists():
            raise UserError(
                f"name: the run folder {folder.path} exists; continue it with --resume, or give "
                f"the run another name"
            )
        folder.path.mkdir(parents=True)
        folder.config.write_text(dump_config(config), encoding="utf-8")
        return folder

    @classmethod
    def reopen(cls, config: Config) -> RunFolder:
        """Continue an existing run.

        Raises:
            UserError: there is none, or it was started with another configuration: names the keys.
        """
        folder = cls(config.run_folder)
        if not folder.config.exists():
            raise UserError(
                f"--resume: there is no run in {folder.path}; start it without --resume"
            )
        before = config_tree(load_config(folder.config))
        now = config_tree(parse_config(dump_config(config), "configuration"))
        if keys := differing_keys(before, now):
            raise UserError(
                f"--resume: the configuration differs from that of {folder.path} in "
                f"{', '.join(keys)}; "
                f"resume with `ddpo train {folder.config} --resume`, or start another run"
            )
        return folder
