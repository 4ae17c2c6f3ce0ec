"""What `ddpo config` says about memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddpo.__main__ import main
from ddpo.batching import plan_batches
from ddpo.diffusion import peak_memory
from ddpo.memory import COLUMNS, describe_memory
from tests.support.policies import configured

CONFIG = Path(__file__).parents[1] / "configs" / "ddpo_sd15_compressibility.yaml"
STAGES = ("encoding prompts", "sampling", "decoding", "training", "evaluation")


def test_a_model_that_is_not_here_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", str(CONFIG)]) == 0
    assert capsys.readouterr().out.endswith(
        "\n# memory is not estimated: the configuration files of "
        "stable-diffusion-v1-5/stable-diffusion-v1-5 are not on this machine\n"
    )


def test_each_stage_is_named_apart_and_the_rest_stays_a_configuration(
    models: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [f"policy.model={models('sd15')}", "policy.num_steps=2", "policy.resolution=16"]
    assert main(["config", str(CONFIG), *overrides]) == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["policy"]["num_steps"] == 2
    totals = {}
    for stage in STAGES:
        (line,) = (one for one in printed.splitlines() if one.startswith(f"#   {stage} "))
        total, *parts = (float(word.split()[-1]) for word in line.replace(" =", ",").split(","))
        assert total == pytest.approx(sum(parts), abs=3e-4)
        assert all(f"{name} 0." in line for name in COLUMNS)
        totals[stage] = total
    highest = max(totals, key=lambda stage: totals[stage])
    assert printed.splitlines()[-1] == f"#   most: {totals[highest]:.4f}, {highest}"


def test_a_folder_without_an_index_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", str(CONFIG), f"policy.model={tmp_path}"]) == 0
    assert f"the configuration files of {tmp_path} are not on" in capsys.readouterr().out


def test_whatever_goes_wrong_is_one_line(
    models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a\nb")

    monkeypatch.setattr(peak_memory, "estimate_peaks", broken)
    config = configured(models("sd15"))
    assert describe_memory(config, plan_batches(config, 1)) == "memory is not estimated: a b"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"compile": True}, "what torch.compile keeps is not known; see policy.compile: false"),
        ({"sampler": "cps"}, "policy.sampler: cps is not for"),
    ],
)
def test_what_cannot_be_estimated_says_why(
    policy: dict[str, Any], reason: str, models: Callable[[str], Path]
) -> None:
    config = configured(models("sd15"), **policy)
    said = describe_memory(config, plan_batches(config, 1))
    assert said.startswith(f"memory is not estimated: {reason}")
    assert "\n" not in said
