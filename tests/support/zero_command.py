"""`python -m tests.support.zero_command STAGE train …`: the command line under DeepSpeed's ZeRO, on
processes without a GPU, for which accelerate does not start it.

DeepSpeed has to be there when accelerate is imported, so this is no hook of a forked process.
"""

from __future__ import annotations

import os
import sys
from functools import partial

os.environ |= {
    "ACCELERATE_USE_DEEPSPEED": "true",
    "ACCELERATE_DEEPSPEED_ZERO_STAGE": sys.argv[1],
    "DS_ACCELERATOR": "cpu",
}

import deepspeed  # pyright: ignore[reportMissingImports]
from accelerate import Accelerator, InitProcessGroupKwargs

import ddpo.distributed
from ddpo.__main__ import main

deepspeed.ops.__compatible_ops__.clear()  # or it compiles a faster all-reduce for a minute


def on_cpu(start: type[Accelerator], **options: object) -> Accelerator:
    """What accelerate makes of an environment with DeepSpeed where there are GPUs."""
    by_gloo = InitProcessGroupKwargs(backend="gloo")
    return start(**{**options, "cpu": False}, kwargs_handlers=[by_gloo])  # pyright: ignore


ddpo.distributed.Accelerator = partial(on_cpu, Accelerator)  # pyright: ignore
sys.exit(main(sys.argv[2:]))
