"""The configuration: all errors at once, values by declared type, and every shipped file."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import rewards
from ddpo.batching import plan_batches
from ddpo.config.reading import decode_config, load_config
from ddpo.config.schema import Config, DdpoConfig, RwrConfig, ScoringConfig
from ddpo.config.writing import config_tree, differing_keys, dump_config
from ddpo.errors import ConfigError, UserError
from ddpo.run_folder import RunFolder

SHIPPED = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))

MINIMAL = """
name: a-run
policy: {kind: diffusion, model: shapes}
prompts: {set: shapes}
rewards: {jpeg_compressibility: 1.0}
algorithm: {kind: ddpo}
train: {iterations: 3, samples_per_iteration: 8}
"""

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
tracker: tensorboard
"""

OPTIONS = """
algorithm algorithm.advantage_clip algorithm.advantage_std algorithm.advantages
algorithm.buffer_size algorithm.clip_nats algorithm.clip_range algorithm.group_size
algorithm.guard algorithm.kind algorithm.kl_coef algorithm.kl_horizon algorithm.kl_target
algorithm.min_count algorithm.mixing algorithm.old_decay algorithm.old_decay_growth
algorithm.temperature
checkpoint checkpoint.every checkpoint.keep
evaluation evaluation.eta evaluation.every evaluation.guidance_scale evaluation.num_steps
evaluation.prompts evaluation.prompts.file evaluation.prompts.set
evaluation.samples
lora lora.alpha lora.rank lora.target_modules
name output_dir
policy policy.attention policy.compile policy.precision policy.precision.network
policy.precision.text_encoder policy.precision.vae
policy.eta policy.guidance_scale policy.kind policy.max_sequence_length policy.model
policy.offload policy.vae_tiling
policy.num_steps policy.resolution policy.sampler policy.trained_share policy.window
policy.window.every policy.window.kind policy.window.size policy.window.start policy.window.stride
prompts prompts.file prompts.set
combine combine.kind combine.within
scoring scoring.timeout scoring.workers scoring.overlap scoring.cache scoring.cache_limit
reward_failures reward_failures.action reward_failures.limit
rewards seed tracker
train train.actions_per_pass train.betas train.ema_decay train.gradient_checkpointing
train.iterations train.learning_rate train.lr_schedule train.max_grad_norm train.micro_batch_size
train.mixed_precision train.processes train.sample_batch_size train.samples_per_iteration
train.optimizer train.trajectories_on
train.updates_per_iteration train.warmup_updates train.weight_decay
watch
"""


def tree(**sections: Any) -> dict[str, Any]:
    """A minimal configuration; a mapping given for a section is merged into it."""
    base = yaml.safe_load(MINIMAL)
    for name, value in sections.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        base[name] = {**base[name], **value} if both else value
    return base


def problems_of(**sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        decode_config(tree(**sections))
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    return write(tmp_path, MINIMAL)


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
    named = {name for name in {*config.rewards, *config.watch} if ":" not in name}
    assert named <= set(rewards.names())
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


def test_all_errors_are_reported_at_once() -> None:
    problems = problems_of(
        polciy={},
        prompts={"sett": "x"},
        rewards={"one": "much"},
        train={"iterations": "1.5", "learning_rate": "fast", "mixed_precision": "maybe"},
        algorithm={"clip_rnge": 1},
        lora={"rnk": 2},
        evaluation={"prompts": {"fle": "x"}},
        seed=-1,
    )
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "algorithm.clip_rnge",
        "evaluation.prompts.fle",
        "lora.rnk",
        "polciy",
        "prompts.sett",
        "rewards.one",
        "seed",
        "train.iterations",
        "train.learning_rate",
        "train.mixed_precision",
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("polciy=1", "unknown key; did you mean policy?"),
        ("train.learning_rat=1", "unknown key; did you mean learning_rate?"),
        ("lora.rnk=1", "unknown key; did you mean rank?"),
        ("prompts.fiel=x", "unknown key; did you mean file?"),
        ("prompts.zzz=x", "unknown key; known here: set, file"),
        ("evaluation.prompts.fle=x", "unknown key; did you mean file?"),
        ("algorithm.clip_rnge=1", "unknown key; did you mean clip_range?"),
        ("algorithm.kl_cof=1", "unknown key; did you mean kl_coef?"),
        ("algorithm.kind=gpro", "unknown kind 'gpro'; one of ddpo, ddpo_sf, grpo, rwr, nft, awm"),
        ("name=", "None is not valid: Input should be a valid string"),
        ("seed=-1", "'-1' is not valid: Input should be greater than or equal to 0"),
        ("train.iterations=0", "'0' is not valid: Input should be greater than 0"),
        ("train.iterations=", "None is not valid: Input should be a valid integer"),
        ("policy.eta=-0.5", "'-0.5' is not valid: Input should be greater than or equal to 0"),
        (
            "policy.sampler=ddpm",
            "'ddpm' is not valid: Input should be 'ddim', 'flow_sde', 'cps' or 'dance_sde'",
        ),
    ],
)
def test_an_error_names_the_path_the_value_and_the_remedy(
    minimal: Path, override: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(minimal, [override])
    assert caught.value.problems == [f"{override.partition('=')[0]}: {problem}"]
    assert str(caught.value).startswith(str(minimal))


@pytest.mark.parametrize(
    ("kind", "key"), [("ddpo_sf", "clip_range"), ("rwr", "clip_nats"), ("ddpo", "temperature")]
)
def test_an_algorithm_refuses_the_options_of_another(kind: str, key: str) -> None:
    (problem,) = problems_of(algorithm={"kind": kind, key: 0.1})
    assert problem.startswith(f"algorithm.{key}: unknown key")


@pytest.mark.parametrize("key", ["name", "policy", "prompts", "rewards", "algorithm", "train"])
def test_what_has_no_default_must_be_given(key: str) -> None:
    without = {name: section for name, section in tree().items() if name != key}
    with pytest.raises(ConfigError) as caught:
        decode_config(without)
    assert caught.value.problems == [f"{key}: missing; it has no default"]


def test_a_missing_key_of_a_section_is_named_in_full() -> None:
    assert problems_of(policy={"kind": "diffusion"} | {"model": None})[0].startswith("policy.model")
    with pytest.raises(ConfigError) as caught:
        decode_config({**tree(), "train": {}, "algorithm": {"clip_range": 1}})
    assert caught.value.problems == [
        "algorithm.kind: missing; one of ddpo, ddpo_sf, grpo, rwr, nft, awm",
        "train.iterations: missing; it has no default",
        "train.samples_per_iteration: missing; it has no default",
    ]


@pytest.mark.parametrize("key", ["rwr", "ddpo", "rewards[0]", "a.b"])
def test_any_word_may_be_an_unknown_key(key: str) -> None:
    (problem,) = problems_of(**{key: 1})
    assert problem.startswith(f"{key}: unknown key")


@pytest.mark.parametrize("section", ["policy", "prompts", "rewards", "algorithm", "train", "lora"])
@pytest.mark.parametrize("value", ["word", 3, ["a", "b"]])
def test_a_section_is_a_mapping(section: str, value: Any) -> None:
    (problem,) = problems_of(**{section: value})
    assert problem.startswith(f"{section}: {value!r} is not valid")


@pytest.mark.parametrize("value", [None, "much", [1], ""])
def test_a_weight_is_a_number(value: Any) -> None:
    (problem,) = problems_of(rewards={"jpeg_compressibility": value})
    assert problem.startswith(f"rewards.jpeg_compressibility: {value!r} is not valid")


@pytest.mark.parametrize(
    "path", ["train.learning_rate", "train.weight_decay", "policy.guidance_scale"]
)
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_numbers_are_finite(path: str, value: str) -> None:
    section, key = path.split(".")
    (problem,) = problems_of(**{section: {key: value}})
    assert problem.startswith(f"{path}: '{value}' is not valid")


@pytest.mark.parametrize("betas", [["0.9", "1"], ["-0.1", "0.9"], ["0.9"], ["0.9", "0.9", "0.9"]])
def test_betas_are_two_numbers_below_1(betas: list[str]) -> None:
    problems = problems_of(train={"betas": betas})
    assert all(problem.startswith("train.betas") for problem in problems)


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"prompts": {"file": "x"}}, "prompts"),
        ({"prompts": {"set": None}}, "prompts"),
        ({"evaluation": {"prompts": {}}}, "evaluation.prompts"),
        ({"algorithm": {"advantages": "group"}}, "algorithm.group_size"),
        ({"algorithm": {"advantages": "leave_one_out", "group_size": 1}}, "algorithm.group_size"),
        ({"algorithm": {"advantage_std": "batch"}}, "algorithm.advantage_std"),
        ({"algorithm": {"min_count": 40}}, "algorithm.min_count"),  # the buffer holds 32
        ({"algorithm": {"clip_range": 1e-4, "clip_nats": 1}}, "algorithm.clip_nats"),
        ({"algorithm": {"kl_target": 6}}, "algorithm.kl_coef"),
        ({"policy": {"eta": 0}}, "policy.eta"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "."}, "name"),
        ({"name": ".."}, "name"),
    ],
)
def test_contradictions_are_refused(sections: dict[str, Any], path: str) -> None:
    (problem,) = problems_of(**sections)
    assert problem.startswith(f"{path}: ")


def test_contradictions_are_reported_together() -> None:
    problems = problems_of(name="a/b", policy={"eta": 0}, prompts={"file": "x"})
    assert [problem.partition(":")[0] for problem in problems] == ["prompts", "policy.eta", "name"]


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


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed", "override 'seed' is not of the form section.key=value"),
        ("=1", "override '=1' is not of the form section.key=value"),
        ("train.=1", "override 'train.=1' is not of the form section.key=value"),
        (".seed=1", "override '.seed=1' is not of the form section.key=value"),
        ("name.first=1", "override 'name.first=1': name is not a section"),
        ("watch=[a", "override 'watch=[a': the value is not YAML"),
    ],
)
def test_an_override_that_cannot_be_is_refused(minimal: Path, override: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(minimal, [override])
    assert caught.value.problems == [problem]
    assert str(caught.value).startswith(str(minimal))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "is not YAML"),
        ("- a\n- b", "is not a mapping"),
        ("word", "is not a mapping"),
        ("", "missing"),
        ("a: !!python/object:os.system {}", "is not YAML"),
        (MINIMAL + "train: {iterations: 1}", "twice"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(write(tmp_path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml.*\n.*cannot be read: No such file"):
        load_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_config(tmp_path / "binary.yaml")


def test_a_configuration_error_is_bad_input() -> None:
    assert issubclass(ConfigError, UserError)
    assert ConfigError("x.yaml", ["one"]).exit_code == 2
    assert str(ConfigError("x.yaml", ["one"])).startswith("x.yaml: 1 error in the")
    assert str(ConfigError("x.yaml", ["one", "two"])).startswith("x.yaml: 2 errors in the")


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


def test_errors_of_a_configuration_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("a.yaml", ["one", "two"])))
    assert isinstance(error, ConfigError)
    assert str(error) == str(ConfigError("a.yaml", ["one", "two"]))
    assert error.problems == ["one", "two"]


def test_a_remote_reward_says_what_is_wrong_before_its_time_is_over() -> None:
    """It asks for so long after its patience: the limit of time knows only that it is over."""
    options = rewards.definition("remote").options
    patience, request = options["patience"].default, options["timeout"].default
    limit = ScoringConfig().timeout
    assert limit is not None
    assert patience + request <= limit / 1.5
