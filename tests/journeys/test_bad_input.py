"""Bad input: one clear line, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.journeys.conftest import LORA, Refused
from tests.journeys.journey import Journey, differences
from tests.journeys.moments import disk_full

PIXELS = "{embedding: pixels}"


def test_all_errors_of_a_configuration_at_once(refused: Refused) -> None:
    message = refused(
        "train.itterations=3",
        "algorithm.clip_rnage=1",
        "policy.num_steps=many",
        "lora={rank: -1}",
        "seeed=1",
        "train.ema_decay=1.5",
        lines=7,
    )
    assert "6 errors in the configuration" in message
    assert "train.itterations: unknown key; did you mean iterations?" in message
    assert "algorithm.clip_rnage: unknown key; did you mean clip_range?" in message
    assert "policy.num_steps: 'many' is not valid" in message
    assert "lora.rank: '-1' is not valid" in message
    assert "seeed: unknown key; did you mean seed?" in message
    assert "train.ema_decay: '1.5' is not valid" in message


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("train.samples_per_iteration=9", "9 samples do not divide"),
        ("train.samples_per_iteration=9", "the nearest possible: 8 or 10"),
        ("policy.model=/nowhere/model", "policy.model: there is no folder /nowhere/model"),
        ("policy.model=somebody/some-model", "somebody/some-model is neither a folder nor"),
        ("policy.model=somebody/some-model", "HF_HUB_OFFLINE is set; model: shapes needs no"),
        ("prompts={file: /nowhere/prompts.txt}", "prompts.file: /nowhere/prompts.txt cannot be"),
        ("prompts={set: animal}", "prompts.set: unknown set 'animal'; known: animals"),
        ("rewards={jpeg_compresibility: 1}", "unknown reward 'jpeg_compresibility'"),
        ("rewards={jpeg_compresibility: 1}", "did you mean 'jpeg_compressibility'?"),
        ("rewards={'tests.journeys.nowhere:reward': 1}", "tests.journeys.nowhere"),
        ("rewards={jpeg_compressibility: {qualty: 3}}", "quality"),
        ("watch=[nothing_known]", "watch: unknown reward 'nothing_known'"),
        (f"rewards={{diversity: {PIXELS}}}", "algorithm.group_size: 1: diversity compares the"),
        (f"watch={{diversity: {PIXELS}}}", "samples of a prompt, and needs 2 or more, such as 8"),
        ("train.processes=2", "train.processes: 2 processes were asked for and 1 are running"),
        ("tracker=carrier_pigeon", "tracker: carrier_pigeon"),
        ("tracker=comet_ml", "tracker: comet_ml is not installed; install it, or tracker: none"),
        ("policy.num_steps=1000", "policy.num_steps: 1000 steps cannot be spaced"),
        ("policy.resolution=17", "policy.resolution: 17 is not a multiple of 2; the nearest is 16"),
        ("lora.target_modules=[nothing]", "lora.target_modules: no layer of the model matches"),
    ],
)
def test_one_line_for_what_is_impossible(override: str, reason: str, refused: Refused) -> None:
    assert reason in refused(override)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("algorithm={kind: ppo}", "algorithm.kind: ppo has a critic, which a denoising chain has"),
        ("algorithm.kl_in=reward", "algorithm.kl_in: reward is for policy.kind: text; leave the"),
        ("algorithm.entropy_coef=0.1", "algorithm.entropy_coef is for policy.kind: text; leave"),
        ("evaluation.top_p=0.5", "evaluation.top_p: 0.5 is for policy.kind: text; leave the key"),
        ("evaluation.top_k=5", "evaluation.top_k: 5 is for policy.kind: text; leave the key out"),
        ("evaluation.greedy=true", "evaluation.greedy: True is for policy.kind: text; leave the"),
        ("evaluation.temperature=2", "evaluation.temperature: 2.0 is for policy.kind: text; lea"),
        ("policy.max_length=4", "policy.max_length: unknown key"),
    ],
)
def test_a_key_that_is_of_language_models(override: str, reason: str, refused: Refused) -> None:
    assert reason in refused(override, lines=2)


@pytest.mark.parametrize("section", ["rewards", "watch"])
def test_rewards_of_texts_for_images(section: str, refused: Refused) -> None:
    """Said before the model, or any prompt's column, is looked for."""
    message = refused("policy.model=/nowhere", f"{section}={{bleu: {{}}}}")
    assert message == (
        f"ddpo: {section}: reward 'bleu' scores texts, and samples of policy.kind: diffusion are "
        "images; see docs/rewards.md for others\n"
    )


def test_a_chain_without_noise(refused: Refused) -> None:
    """The one step of the embedded model's chain goes to the end."""
    message = refused("policy.model=shapes", "policy.num_steps=1")
    assert "policy.num_steps: with 1 no step of this model's chain has noise" in message


def test_a_watch_reward_that_is_optimised(refused: Refused) -> None:
    """Whatever it is called: what counts is which reward is made, with which options."""
    jpeg = "rewards={small: {reward: jpeg_compressibility, quality: 95}}"
    for watch in ("watch=[jpeg_compressibility]", "watch={jpeg_compressibility: {quality: 95}}"):
        message = refused(jpeg, watch)
        assert "watch: 'jpeg_compressibility' is the optimised reward 'small' with the" in message
    message = refused(jpeg, "watch={small: {reward: jpeg_compressibility, quality: 50}}")
    assert "watch: 'small' is the name of an optimised reward with other options" in message


def test_a_held_out_sample_that_has_no_other_to_be_compared_with(refused: Refused) -> None:
    groups = ("algorithm.group_size=2", f"watch={{twins: {{reward: diversity, {PIXELS[1:]}}}")
    message = refused(*groups, "evaluation.samples=1")
    assert "evaluation.samples: 1: twins compares the samples of a prompt, and needs 2" in message


def test_an_empty_prompt_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n# a comment\n")
    assert "none.txt holds no prompt; write one a line" in refused("prompts={file: none.txt}")


def test_columns_that_rewards_need_and_prompts_lack(refused: Refused, tmp_path: Path) -> None:
    """In training and in held-out prompts, and before the model is looked for."""
    with_column = {"prompt": "a", "size": 1, "reference": {"caption": "a", "channel": 0}}
    (tmp_path / "with.jsonl").write_text(json.dumps(with_column))
    (tmp_path / "without.csv").write_text("prompt,size,refs\na,1,b\n")
    rewards = ("rewards={x: {reward: 'tests.journeys.labelled:tint'}}", "policy.model=/no/model")
    needs = "reward 'x' needs the column 'reference', and the prompts have"
    assert f"ddpo: prompts: {needs} no columns; name a file" in refused(*rewards)
    message = refused(*rewards, "prompts={file: without.csv}")
    assert f"ddpo: prompts: {needs} only 'size', 'refs'; name a file" in message
    files = ("prompts={file: with.jsonl}", "evaluation.prompts={file: without.csv}")
    assert f"ddpo: evaluation.prompts: {needs} only 'size'" in refused(*rewards, *files)
    assert "policy.model: " in refused(*rewards, *files, "evaluation.samples=0")
    assert "policy.model: " in refused(*rewards, files[0])


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("prompts.template='{x}'", "prompts.txt is prompts without columns; leave the key out"),
        ("prompts={file: x.json}", "prompts.file: x.json: a file '.json' is of no known kind"),
        ("prompts={file: x.jsonl}", "prompts.file: x.jsonl cannot be read: No such file"),
        ("prompts={dataset: /nowhere/data}", "prompts.dataset: "),
        ("evaluation.prompts={file: x.csv}", "evaluation.prompts.file: x.csv cannot be read: No"),
    ],
)
def test_one_line_for_prompts_that_cannot_be_had(
    override: str, reason: str, refused: Refused
) -> None:
    assert reason in refused(override)


def test_a_model_whose_tokenizer_is_damaged(
    refused: Refused, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    for file in (tmp_path / "model" / "tokenizer").iterdir():
        file.unlink()
    message = refused("policy.model=model")
    assert "policy.model: tokenizer: the network embeds " in message
    assert "but the tokenizer of 'model' has 2: its files are missing" in message


def test_resume_without_a_run(refused: Refused) -> None:
    message = refused("--resume")
    assert "--resume: there is no run in runs/run; start it without --resume" in message


def test_an_existing_run_and_a_resume_that_differs(
    uninterrupted: Callable[[int], Journey], refused: Refused, tmp_path: Path
) -> None:
    uninterrupted(1).copy(tmp_path, after=2)
    message = refused()
    assert "the run folder runs/run exists; continue it with --resume" in message
    message = refused("train.learning_rate=1", LORA, "seed=4", "--resume")
    assert "differs from that of runs/run in lora, seed, train.learning_rate;" in message


@pytest.mark.parametrize("stage", ["recording", "saving", "picturing"])
def test_a_full_disk_leaves_the_last_complete_checkpoint(
    stage: str, uninterrupted: Callable[[int], Journey], config_file: Path, tmp_path: Path
) -> None:
    """With room made, the run goes on as if nothing had happened."""
    journey = Journey(tmp_path, config_file)
    call = {"recording": 4, "saving": 3 * 4 - 1, "picturing": 2 + 1}[stage]
    with journey.start(hooks=[disk_full(stage, call)]) as started:
        assert started.wait() == [2]
        (message,) = started.output.split("ddpo: ")[1:]
    assert "No space left on device" in message
    assert "the last complete checkpoint is intact: make room, then continue with" in message
    assert "Traceback" not in message
    assert not list((journey.run / "checkpoints").glob(".*"))
    journey.finish(resume=True)
    assert differences(journey, uninterrupted(1)) == []


@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_is_full_from_the_beginning(
    call: int, config_file: Path, tmp_path: Path
) -> None:
    """Nothing is left, and nobody is told to resume it."""
    journey = Journey(tmp_path, config_file)
    with journey.start(hooks=[disk_full("picturing", call)]) as started:
        assert started.wait() == [2]
        assert "ddpo: cannot write: No space left on device\n" in started.output
    assert not journey.run.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount, or resize, a file system of so many bytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int) -> Path:
        options = f"{'remount,' * place.is_mount()}size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a file system can be mounted by root only")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


def test_a_truly_full_disk(
    uninterrupted: Callable[[int], Journey],
    small_disk: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """One that ends in the middle of the third checkpoint."""
    whole = uninterrupted(1)
    fits = whole.copy(tmp_path / "fits", after=2).run
    shutil.rmtree(fits / "gallery")
    shutil.rmtree(fits / "samples" / "000003")
    half = disk_size(whole.run / "checkpoints" / "000003") // 2
    journey = replace(whole, folder=small_disk(disk_size(fits) + half))
    with journey.start() as started:
        assert started.wait() == [2], started.output
        assert "No space left on device" in started.output
        assert "Traceback" not in started.output
    assert journey.checkpoints == ["000001", "000002"]
    small_disk(2**30)
    journey.finish(resume=True)
    assert differences(journey, whole) == []


def disk_size(folder: Path) -> int:
    """Bytes that a folder takes in pages of 4 kB."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*"))
