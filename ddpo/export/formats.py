"""`ddpo export`: a finished run in the form that somebody else needs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from ddpo.checkpoint import write_folder
from ddpo.config.schema import Config
from ddpo.diffusion.loading import load_pipeline
from ddpo.errors import UserError, WriteError
from ddpo.export.base_model import read_base
from ddpo.export.card import write_card
from ddpo.export.finished_run import open_finished
from ddpo.export.kohya import kohya_tensors
from ddpo.export.lora_file import folded, read_lora, write_tensors
from ddpo.export.tool_metadata import tool_metadata
from ddpo.run_folder import RunFolder

Format = Literal["kohya", "folded", "merged", "card"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export_run(run: Path, kind: Format, out: Path | None = None) -> Path:
    """Write a finished run in another form; returns what was written.

    Args:
        run: the run folder.
        kind: `kohya`, a LoRA file for ComfyUI, the web UIs and kohya-ss's scripts; `folded`, one
            under diffusers' names with alpha inside the weights; `merged`, a pipeline folder with
            the LoRA added to the weights; `card`, the model card of `final/`, written anew.
        out: the file or folder; one in `<run>/export/` when None. A card has its own place.

    Raises:
        UserError: the run has not finished, has no LoRA, its family has no such form, or `out`
            exists.
        WriteError: it cannot be written.
    """
    folder, config = open_finished(run)
    if kind == "card":
        if out is not None:
            raise UserError(f"--out: {out}, but a card belongs into {folder.final}; leave it out")
        return write_card(folder.final, folder.path, config)
    if config.lora is None:
        raise UserError(
            f"--format: {kind} is a form of a LoRA, and {run} trained all weights; its "
            f"{folder.final.name}/ is a pipeline folder already"
        )
    target = out or _default_place(folder, kind)
    if target.exists():
        raise UserError(f"--out: {target} exists; remove it, or name another place")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "merged":
            return _write_merged(folder, config, target)
        return _write_lora(folder, config, kind, target)
    except OSError as error:
        raise WriteError(f"--out: {target} cannot be written: {error.strerror or error}") from error


def _default_place(folder: RunFolder, kind: Format) -> Path:
    suffix = "" if kind == "merged" else ".safetensors"
    return folder.path / "export" / f"{folder.path.resolve().name}-{kind}{suffix}"


def _write_lora(
    folder: RunFolder, config: Config, kind: Literal["kohya", "folded"], target: Path
) -> Path:
    base = read_base(config.policy.model)
    lora = read_lora(folder.final, base.family.network_name)
    kohya = kind == "kohya"
    tensors = kohya_tensors(lora, base) if kohya else folded(lora)
    write_tensors(target, tensors, tool_metadata(config, base, lora, kohya=kohya))
    return target


def _write_merged(folder: RunFolder, config: Config, target: Path) -> Path:
    base = read_base(config.policy.model)
    pipeline = load_pipeline(config.policy.model)
    pipeline.load_lora_weights(folder.final)
    pipeline.fuse_lora(components=[base.family.network_name])
    pipeline.unload_lora_weights()

    def fill(aside: Path) -> None:
        pipeline.save_pretrained(aside)
        write_card(aside, folder.path, config, merged=True)

    return write_folder(target, fill)
