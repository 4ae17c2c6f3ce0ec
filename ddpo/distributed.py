"""Several processes that train one model: started, counted, and kept in step."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil
import torch
import yaml
from accelerate import Accelerator
from accelerate.commands.config.config_args import default_config_file
from accelerate.utils import broadcast_object_list

from ddpo.config.schema import Config
from ddpo.errors import DdpoError, UserError, WriteError
from ddpo.launch_problems import check_launch, keep_text_encoders_whole

T = TypeVar("T")
PR_SET_PDEATHSIG = 1


def start_accelerator(config: Config) -> Accelerator:
    """Join the other processes of this launch.

    Raises:
        UserError: the number running is not the number asked for, or the tracker or precision is
            not available here.
    """
    try:
        with warnings.catch_warnings():  # of a tracker that is not installed: refused below
            warnings.filterwarnings("ignore", message="`log_with=")
            accelerator = Accelerator(
                # without this, processes on a machine without a GPU do not find each other
                cpu=not torch.accelerator.is_available(),
                mixed_precision=config.train.mixed_precision,
                log_with=None if config.tracker == "none" else config.tracker,
                project_dir=config.run_folder,
            )
    except ValueError as error:
        raise UserError(f"tracker: {config.tracker} / train.mixed_precision: {error}") from error
    if config.tracker != "none" and not accelerator.log_with:  # accelerate only warns
        raise UserError(f"tracker: {config.tracker} is not installed; install it, or tracker: none")
    check_process_count(config.train.processes, accelerator.num_processes)
    check_launch(config, accelerator)
    keep_text_encoders_whole()
    return accelerator


def check_process_count(declared: int | None, running: int) -> None:
    """Compare the processes asked for, in the configuration or on accelerate's command line, with
    those running.

    Raises:
        UserError: they differ. `accelerate launch --cpu --num_processes 2`, for one, starts a
            single process.
    """
    asked = {
        "train.processes": declared,
        "WORLD_SIZE": int(os.environ.get("WORLD_SIZE", running)),
        "accelerate launch": launched_processes(_parent_command()),
    }
    for source, count in asked.items():
        if count is not None and count != running:
            raise UserError(
                f"{source}: {count} processes were asked for and {running} are running; on a "
                f"machine without a GPU use "
                f"`accelerate launch --multi_gpu --num_processes {count} --num_machines 1 -m ddpo "
                f"…`"
            )


def launched_processes(command: Sequence[str]) -> int | None:
    """The number of processes that an `accelerate launch` command line asks for.

    Its own option counts first, then its configuration file, then accelerate's default one. None
    where no launcher is involved or none of them says.
    """
    words = [Path(word).name for word in command]
    by_accelerate = any(word.startswith("accelerate") for word in words)
    launchers = ("launch", "accelerate-launch", "accelerate.commands.launch")
    if not by_accelerate or not any(word in launchers for word in words):
        return None
    if count := _option(command, "--num_processes") or _option(command, "--num-processes"):
        return int(count)
    named = _option(command, "--config_file") or _option(command, "--config-file")
    file = Path(named or default_config_file)
    return yaml.safe_load(file.read_text()).get("num_processes") if file.is_file() else None


def _option(command: Sequence[str], name: str) -> str | None:
    """The value of `name VALUE` or `name=VALUE` on a command line."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def die_with_launcher() -> None:
    """Ask Linux for a SIGTERM when the launcher dies: `accelerate launch` of one process would
    leave an orphan.
    """
    if sys.platform != "linux" or launched_processes(_parent_command()) is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def on_main(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Run `action` on the main process only; all get its result, or its error.

    Raises:
        DdpoError: what `action` raised.
        WriteError: it raised an OSError: with the path and the reason.
    """
    outcome: list[object] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = action()
        except DdpoError as error:
            outcome[1] = error
        except OSError as error:
            where = f" to {error.filename}" if error.filename else ""
            outcome[1] = WriteError(f"cannot write{where}: {error.strerror or error}")
    broadcast_object_list(outcome)
    if isinstance(outcome[1], DdpoError):
        raise outcome[1]
    return outcome[0]  # pyright: ignore[reportReturnType]


def summed(accelerator: Accelerator, values: torch.Tensor) -> torch.Tensor:
    """The sum over processes."""
    return accelerator.reduce(values, "sum")  # pyright: ignore[reportReturnType]


def largest(accelerator: Accelerator, value: torch.Tensor) -> float:
    """The largest value of any process."""
    return float(gathered(accelerator, value.reshape(1)).max())


def gathered(accelerator: Accelerator, values: torch.Tensor) -> torch.Tensor:
    """The values of all processes, one after the other, on each of them."""
    return accelerator.gather(values)  # pyright: ignore[reportReturnType]


def _parent_command() -> list[str]:
    """The command line that started this process: accelerate's, or that of torch's elastic
    agent.
    """
    try:
        return psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        return []
