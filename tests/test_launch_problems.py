"""What accelerate's configuration may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from accelerate import Accelerator
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

from ddpo.config.reading import load_config
from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.launch_problems import check_launch

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "ddpo_shapes_compressibility.yaml"
LAUNCHES = sorted((ROOT / "configs" / "accelerate").glob("*.yaml"))


def configured(*overrides: str) -> Config:
    """One that any algorithm can have."""
    return load_config(CONFIG, ["policy.window=null", *overrides])


@dataclass
class Launch(Accelerator):
    """What is read of an accelerator, without any process."""

    distributed_type: DistributedType = DistributedType.NO
    is_fsdp2: bool = True
    mixed_precision: str = "bf16"
    stage: int = 2
    file: dict[str, Any] = field(default_factory=lambda: {"zero_optimization": {}})

    @property
    def deepspeed_plugin(self) -> SimpleNamespace:
        """As accelerate's."""
        return SimpleNamespace(zero_stage=self.stage, deepspeed_config=self.file)


FSDP, ZERO = DistributedType.FSDP, DistributedType.DEEPSPEED
OFFLOAD = {"zero_optimization": {"offload_optimizer": {"device": "cpu"}}}
OFFLOAD_PARAM = {"zero_optimization": {"offload_param": {"device": "cpu"}}}
REFUSED = [
    (Launch(FSDP, is_fsdp2=False), [], "fsdp_version: 1 .* set fsdp_version: 2"),
    (Launch(FSDP, mixed_precision="fp16"), [], "mixed_precision: fp16 .* take bf16"),
    (Launch(FSDP), ["train.optimizer=adafactor"], "train.optimizer: adafactor; take adamw"),
    (Launch(FSDP), ["policy.channels_last=true"], "channels_last: true .* FSDP; take false"),
    (Launch(ZERO), ["policy.channels_last=true"], "channels_last: true .* DeepSpeed; take false"),
    (Launch(ZERO, stage=1), [], "zero_stage: 1 is not supported; set zero_stage: 2 or 3"),
    (Launch(ZERO, file=OFFLOAD), [], "offload_optimizer_device: cpu"),
    (Launch(ZERO, file={"zero_optimization": {}, "scheduler": {}}), [], "scheduler: .* remove it"),
    (Launch(ZERO, file={"zero_optimization": {}, "optimizer": {}}), [], "optimizer: .* remove it"),
    (Launch(ZERO, file=OFFLOAD_PARAM), [], "offload_param_device: cpu"),
    (Launch(ZERO, mixed_precision="fp16"), [], "mixed_precision: fp16 .* take bf16"),
    (Launch(ZERO), ["train.optimizer=adafactor"], "train.optimizer: adafactor; take adamw"),
    (Launch(ZERO), ["train.ema_decay=0.5"], "train.ema_decay: 0.5 needs FSDP"),
    (Launch(ZERO), ["algorithm={kind: nft}"], "algorithm.kind: nft needs FSDP"),
    (Launch(DistributedType.MEGATRON_LM), [], "Megatron-LM is not supported"),
]


@pytest.mark.parametrize(("launch", "overrides", "message"), REFUSED)
def test_what_cannot_be_had_is_refused(launch: Any, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_launch(configured(*overrides), launch)


@pytest.mark.parametrize("launch", [Launch(FSDP), Launch(ZERO), Launch(ZERO, stage=3)])
def test_what_can_be_had_is_not(launch: Any) -> None:
    check_launch(configured(), launch)


@pytest.mark.parametrize("override", ["train.ema_decay=0.5", "algorithm={kind: nft}"])
def test_an_average_can_be_had_in_pieces(override: str) -> None:
    launch: Any = Launch(FSDP)
    check_launch(configured(override), launch)


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_what_accelerate_left_out_in_silence_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    plain: Any = Launch(DistributedType.MULTI_CPU)
    with pytest.raises(UserError, match=f"{name} needs a GPU for each process"):
        check_launch(configured(), plain)


@pytest.mark.parametrize("path", LAUNCHES, ids=[path.stem for path in LAUNCHES])
def test_accelerate_reads_the_shipped_files(path: Path) -> None:
    read = load_config_from_file(str(path))
    assert read.num_processes == 8
    kinds = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
    assert read.distributed_type == kinds[path.stem]
