"""The configuration: its options, values by declared type, overrides, and every shipped file."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import rewards
from ddpo.batching import plan_batches
from ddpo.config.algorithms import DdpoConfig, RwrConfig
from ddpo.config.reading import decode_config, load_config
from ddpo.config.schema import Config, ScoringConfig
from ddpo.config.writing import config_tree, differing_keys, dump_config
from ddpo.errors import UserError
from ddpo.run_folder import RunFolder
from rewards.specification import parse
from tests.support.configurations import MINIMAL, tree, write

SHIPPED = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


FULL = """
name: "1e3"
output_dir: elsewhere/runs
seed: 9223372036854775807
policy: {kind: diffusion, model: owner/model, sampler: ddim, num_steps: 20, eta: 0.5,
         guidance_scale: 1, resolution: 256}
lora: {rank: 4, alpha: 8, target_modules: [to_q, to_k]}
prompts: {file: prompts.txt}
rewards: {one: -1, "package.module:two": {weight: 1e-2, quality: 95, words: [no, null, 1e-4]}}
watch: [three, four]
reward_failures: {action: drop, limit: 0}
algorithm: {kind: rwr, temperature: .5, advantages: group, group_size: 4, kl_coef: 1e-3,
            kl_target: 6}
train: {iterations: 1, samples_per_iteration: 8, betas: [.9, .99], ema_decay: 0.99,
        lr_schedule: cosine, warmup_updates: 2, gradient_checkpointing: yes, mixed_precision: no,
        micro_batch_size: 2, processes: 2}
evaluation: {every: 5, samples: 0, prompts: {set: animals}}
checkpoint: {every: 1, keep: 1}
gallery: {every: 0}
tracker: tensorboard
"""


OPTIONS = """
algorithm algorithm.advantage_clip algorithm.advantage_std algorithm.advantages
algorithm.buffer_size algorithm.clip_nats algorithm.clip_range algorithm.group_size
algorithm.guard algorithm.kind algorithm.kl_coef algorithm.kl_horizon algorithm.kl_target
algorithm.min_count algorithm.mixing algorithm.old_decay algorithm.old_decay_growth
algorithm.step_weights algorithm.temperature
algorithm.critic algorithm.critic.clip_range algorithm.critic.coef algorithm.critic.network
algorithm.entropy_coef algorithm.gamma algorithm.kl_in algorithm.lam algorithm.stop_kl
algorithm.whiten
checkpoint checkpoint.every checkpoint.keep
evaluation evaluation.eta evaluation.every evaluation.guidance_interval
evaluation.guidance_scale evaluation.num_steps
evaluation.prompts evaluation.prompts.column evaluation.prompts.config
evaluation.prompts.dataset evaluation.prompts.file evaluation.prompts.limit evaluation.prompts.set
evaluation.prompts.split evaluation.prompts.rename evaluation.prompts.template
evaluation.samples evaluation.greedy evaluation.temperature evaluation.top_k evaluation.top_p
gallery gallery.every
lora lora.alpha lora.rank lora.target_modules
name output_dir
policy policy.attention policy.compile policy.precision policy.precision.network
policy.precision.text_encoder policy.precision.vae
policy.eta policy.guidance_interval policy.guidance_scale policy.kind policy.model
policy.channels_last policy.max_sequence_length policy.shared_noise
policy.offload policy.tiny_vae policy.tiny_vae.audit_every policy.tiny_vae.model policy.vae_tiling
policy.num_steps policy.resolution policy.sampler policy.trained_share policy.window
policy.chunk policy.max_length policy.min_length policy.missing_eos_penalty policy.stop
policy.temperature
policy.window.every policy.window.kind policy.window.size policy.window.start policy.window.stride
prompts prompts.column prompts.config prompts.dataset prompts.file prompts.limit prompts.set
prompts.split prompts.rename prompts.template
combine combine.kind combine.within
scoring scoring.timeout scoring.workers scoring.overlap scoring.cache scoring.cache_limit
reward_failures reward_failures.action reward_failures.limit
rewards seed tracker
train train.actions_per_pass train.betas train.ema_decay train.gradient_checkpointing
train.iterations train.learning_rate train.lr_schedule train.max_grad_norm train.micro_batch_size
train.mixed_precision train.processes train.sample_batch_size train.samples_per_iteration
train.optimizer train.sample_uses train.trajectories_on
train.updates_per_iteration train.warmup_updates train.weight_decay
watch
"""


def schemas(annotation: Any) -> Iterator[Any]:
    """The dataclasses that an annotation speaks of."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from schemas(part)


def nested(schema: Any) -> Iterator[Any]:
    """The schemas of all sections beneath one."""
    for field in schema.__pydantic_fields__.values():
        for section in schemas(field.annotation):
            yield section
            yield from nested(section)


def paths(schema: Any, prefix: str = "") -> Iterator[str]:
    """The path of every option, sections included."""
    for name, field in schema.__pydantic_fields__.items():
        yield f"{prefix}{name}"
        for section in schemas(field.annotation):
            yield from paths(section, f"{prefix}{name}.")


def test_no_option_is_added_or_renamed_unnoticed() -> None:
    assert set(paths(Config)) == set(OPTIONS.split())


def test_every_option_is_documented() -> None:
    for schema in [Config, *dict.fromkeys(nested(Config))]:
        for name in schema.__pydantic_fields__:
            homes = (home.__dict__.get("__pydantic_fields__", {}) for home in schema.__mro__)
            described = [home[name].description for home in homes if name in home]
            assert any(described), f"{schema.__name__}.{name}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_loads(path: Path) -> None:
    config = load_config(path)
    plan_batches(config, config.train.processes or 1)
    for entry in (*parse(config.rewards), *parse(config.watch)):  # unknown ones are refused
        assert entry.definition.name in rewards.names()
    assert path.stem.startswith(f"{config.algorithm.kind}_")
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_defaults_are_those_of_the_schema(minimal: Path) -> None:
    config = load_config(minimal)
    assert config.algorithm == DdpoConfig()
    assert (config.train.learning_rate, config.train.betas) == (3e-4, (0.9, 0.999))
    assert (config.policy.num_steps, config.policy.eta, config.seed) == (50, None, 0)
    assert (config.lora, config.watch, config.run_folder) == (None, (), Path("runs/a-run"))


def test_values_are_decoded_by_declared_type(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    assert config.name == "1e3"
    assert config.seed == 2**63 - 1
    assert config.train.mixed_precision == "no"
    assert config.train.gradient_checkpointing is True
    assert config.train.betas == (0.9, 0.99)
    assert config.policy.guidance_scale == 1.0
    assert isinstance(config.policy.guidance_scale, float)
    assert config.algorithm == RwrConfig(
        advantages="group", group_size=4, kl_coef=1e-3, kl_target=6.0, temperature=0.5
    )
    assert config.rewards["one"] == -1.0
    options = config.rewards["package.module:two"]
    assert options["words"] == ["no", None, "1e-4"]  # types are the reward's own business
    assert config.lora is not None
    assert config.lora.target_modules == ("to_q", "to_k")
    assert config.prompts.file == Path("prompts.txt")


@pytest.mark.parametrize("value", ["1e-4", "1.0e-4", "0.0001", ".0001", "+1E-4"])
def test_a_number_may_be_written_in_any_way(minimal: Path, value: str) -> None:
    assert load_config(minimal, [f"train.learning_rate={value}"]).train.learning_rate == 1e-4


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_what_is_dumped_decodes_to_the_same(tmp_path: Path, text: str) -> None:
    config = load_config(write(tmp_path, text))
    assert load_config(write(tmp_path, dump_config(config))) == config
    assert decode_config(config_tree(config)) == config
    assert yaml.safe_load(dump_config(config)) == config_tree(config)


def test_a_run_that_python_began_can_be_reopened(tmp_path: Path) -> None:
    options = {"weight": 2, "quality": 95, "lossless": True, "prefix": "ein Kätzchen"}
    config = decode_config(tree(output_dir=str(tmp_path), rewards={"one": options}))
    RunFolder.create(config)
    assert RunFolder.reopen(config).path == tmp_path / "a-run"
    other = decode_config(
        tree(output_dir=str(tmp_path), rewards={"one": {**options, "quality": 96}})
    )
    with pytest.raises(UserError, match=r"differs .* in rewards\.one\.quality;"):
        RunFolder.reopen(other)


def test_overrides_go_on_top_of_the_file_in_order(minimal: Path) -> None:
    config = load_config(
        minimal,
        [
            "seed=1",
            "seed=2",
            "policy.eta=0.5",
            "lora.rank=4",
            "evaluation.prompts.set=animals",
            "watch=[a, b]",
            "rewards.other={weight: 2, quality: 9}",
            "name=a=b",
        ],
    )
    assert (config.seed, config.policy.eta, config.name) == (2, 0.5, "a=b")
    assert config.policy.model == "shapes"
    assert config.lora is not None
    assert config.lora.rank == 4
    assert config.evaluation.prompts is not None
    assert config.evaluation.prompts.set == "animals"
    assert config.watch == ("a", "b")
    assert config.rewards == {"jpeg_compressibility": 1.0, "other": {"weight": "2", "quality": "9"}}


@pytest.mark.parametrize("null", ["null", "~", ""])
def test_null_takes_a_section_away(tmp_path: Path, null: str) -> None:
    path = write(tmp_path, MINIMAL + "lora: {rank: 4}")
    assert load_config(path).lora is not None
    assert load_config(path, [f"lora={null}"]).lora is None


def test_a_section_that_was_null_can_be_filled(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "lora: null")
    lora = load_config(path, ["lora.rank=4", "lora.alpha=2"]).lora
    assert lora is not None
    assert (lora.rank, lora.alpha) == (4, 2)


def test_differing_keys_are_named_in_full() -> None:
    one = config_tree(decode_config(tree(lora={"rank": 4})))
    other = copy.deepcopy(one)
    assert differing_keys(one, other) == []
    other["train"]["learning_rate"], other["seed"], other["lora"] = 1.0, 7, None
    other["rewards"] = {"another": 1.0}
    assert differing_keys(one, other) == [
        "lora",
        "rewards.another",
        "rewards.jpeg_compressibility",
        "seed",
        "train.learning_rate",
    ]


def test_a_configuration_is_frozen(minimal: Path) -> None:
    config = load_config(minimal)
    with pytest.raises(AttributeError):
        config.seed = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_a_remote_reward_says_what_is_wrong_before_its_time_is_over() -> None:
    """It asks for so long after its patience: the limit of time knows only that it is over."""
    options = rewards.definition("remote").options
    patience, request = options["patience"].default, options["timeout"].default
    limit = ScoringConfig().timeout
    assert limit is not None
    assert patience + request <= limit / 1.5
