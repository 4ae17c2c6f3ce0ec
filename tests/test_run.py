"""What can go wrong between the run folder and the loop."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest
from accelerate import Accelerator

from ddpo import load_config
from ddpo.errors import UserError
from ddpo.run import Run, _start_tracker
from ddpo.run_folder import RunFolder

CONFIG = Path(__file__).parents[1] / "configs" / "ddpo_shapes_compressibility.yaml"


@pytest.mark.parametrize("resume", [False, True])
def test_a_tracker_that_cannot_start_leaves_a_resumed_run_only(
    resume: bool, tmp_path: Path
) -> None:
    run = MagicMock(spec=Run)
    run.config = load_config(CONFIG, ["tracker=wandb"])
    run.folder = MagicMock(spec=RunFolder, path=tmp_path / "run")
    run.folder.path.mkdir()
    run.accelerator = MagicMock(spec=Accelerator, is_main_process=True)
    run.accelerator.init_trackers.side_effect = RuntimeError("nobody is\nlogged in")
    with pytest.raises(UserError, match=r"^tracker: wandb cannot start: nobody is logged in$"):
        _start_tracker(run, resume=resume)
    assert run.folder.path.exists() == resume
