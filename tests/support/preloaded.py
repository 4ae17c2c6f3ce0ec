"""What the server of `tests.support.processes` does once, for all the processes it forks: imports,
and a first model, whose loading imports and compiles more.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from transformers.utils import logging

import ddpo.__main__
import ddpo.training  # noqa: F401
from ddpo.diffusion.loading import load_pipeline
from tests.support.pipelines import tiny_stable_diffusion

logging.disable_progress_bar()
with TemporaryDirectory() as folder:
    load_pipeline(str(tiny_stable_diffusion(Path(folder))))
