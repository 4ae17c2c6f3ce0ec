"""`ddpo doctor`: what is installed, what the machine offers, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib import import_module, metadata

PACKAGES = [
    "ddpo",
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "open_clip_torch",
    "safetensors",
    "pydantic",
]
BACKENDS = {
    "xformers": "pip install ddpo[xformers]",
    "flash_attn": "pip install flash-attn --no-build-isolation",
    "sageattention": "pip install sageattention",
}
SERVING = dict.fromkeys(("fastapi", "uvicorn"), "pip install ddpo[serve]")
DATA = dict.fromkeys(("datasets", "pyarrow"), "pip install ddpo[data]")
FIGURES = {"matplotlib": "pip install ddpo[figures]"}
TRACKERS = {"tensorboard": "pip install ddpo[tensorboard]", "wandb": "pip install ddpo[wandb]"}


def report() -> str:
    """The whole report, a section each."""
    sections: dict[str, Callable[[], list[str]]] = {
        "versions": _versions,
        "devices": _devices,
        "attention back ends": _attention,
        "trackers": lambda: [_optional(name, remedy) for name, remedy in TRACKERS.items()],
        "serving rewards": lambda: [_optional(name, remedy) for name, remedy in SERVING.items()],
        "prompts with columns": lambda: [_optional(name, remedy) for name, remedy in DATA.items()],
        "galleries as pictures": lambda: [_optional(*item) for item in FIGURES.items()],
        "models": _models,
        "rewards": _rewards,
        "sandbox": _sandbox,
    }
    lines = []
    for title, section in sections.items():
        lines += [f"{title}:", *(f"  {line}" for line in section())]
    return "\n".join(lines)


def _versions() -> list[str]:
    return [f"python {platform.python_version()}", *(_version(name) for name in PACKAGES)]


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} missing: pip install ddpo brings it"


def _devices() -> list[str]:
    import torch

    lines = [f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} threads for torch"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        lines.append(
            f"cuda:{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB, "
            f"bf16 {'yes' if torch.cuda.is_bf16_supported() else 'no'}"
        )
    if not torch.cuda.is_available():
        lines.append("cuda: none seen; training runs on the CPU")
    return lines


def _attention() -> list[str]:
    return [
        "native: torch scaled_dot_product_attention",
        *(_optional(*item) for item in BACKENDS.items()),
    ]


def _optional(module: str, remedy: str) -> str:
    """One line on a package that need not be there; a broken one is reported with its error."""
    try:
        found = import_module(module)
    except ModuleNotFoundError:
        return f"{module}: missing; {remedy}"
    except Exception as error:  # a foreign package may fail in any way; the report goes on
        return f"{module}: installed but broken: {type(error).__name__}: {error}"
    return f"{module}: {getattr(found, '__version__', 'installed')}"


def _models() -> list[str]:
    from huggingface_hub import constants

    from ddpo.worlds.shapes import pipeline_path

    offline = (
        "HF_HUB_OFFLINE is set: only the cache is used" if constants.HF_HUB_OFFLINE else "online"
    )
    embedded = (
        "complete" if (pipeline_path() / "model_index.json").exists() else "missing: reinstall ddpo"
    )
    return [f"shapes (embedded): {embedded}", f"hub: {offline}; cache in {constants.HF_HUB_CACHE}"]


def _rewards() -> list[str]:
    """Every reward by name, imported: a broken one is reported with its error."""
    import rewards
    from rewards import listing

    lines = []
    for name in rewards.names():
        try:
            rewards.definition(name)
            lines.append(f"{name}: ok")
        except rewards.RewardError as error:
            lines.append(f"{name}: broken: {error}")
    return [*lines, *listing.ignored()]


def _sandbox() -> list[str]:
    """The level at which programs that a model writes can be run here."""
    from rewards.code.sandbox import probe
    from rewards.code.worker import SandboxError

    try:
        reached = probe()
    except SandboxError as error:
        return [f"programs cannot be run: {error}"]
    meaning = {
        "full": "programs are run",
        "filtered": "code_tests runs programs only where it is asked to, with level: filtered",
        "none": "no program is run",
    }
    return [f"level {reached}: {meaning[reached.level]}; see docs/code-rewards.md"]
