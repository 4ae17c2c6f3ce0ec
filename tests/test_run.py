"""What can go wrong between the run folder and the loop."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest
from accelerate import Accelerator

from ddpo import load_config
from ddpo.errors import UserError
from ddpo.run import Run, start_tracker

CONFIG = Path(__file__).parents[1] / "configs" / "ddpo_shapes_compressibility.yaml"


def test_a_tracker_that_cannot_start_is_named() -> None:
    run = MagicMock(spec=Run)
    run.config = load_config(CONFIG, ["tracker=wandb"])
    run.accelerator = MagicMock(spec=Accelerator, is_main_process=True)
    run.accelerator.init_trackers.side_effect = RuntimeError("nobody is\nlogged in")
    with pytest.raises(UserError, match=r"^tracker: wandb cannot start: nobody is logged in$"):
        start_tracker(run)
