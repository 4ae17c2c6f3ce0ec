"""What a configuration refuses: all errors at once, each with its path, value and remedy."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from ddpo.config.reading import decode_config, load_config
from ddpo.errors import ConfigError, UserError
from tests.support.configurations import MINIMAL, tree, write


def problems_of(**sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        decode_config(tree(**sections))
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


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
        ("checkpoint.zzz=x", "unknown key; known here: every, keep"),
        ("evaluation.prompts.fle=x", "unknown key; did you mean file?"),
        ("algorithm.clip_rnge=1", "unknown key; did you mean clip_range?"),
        ("algorithm.kl_cof=1", "unknown key; did you mean kl_coef?"),
        (
            "algorithm.kind=gpro",
            "unknown kind 'gpro'; one of ddpo, ddpo_sf, ppo, grpo, rwr, nft, awm",
        ),
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
        "algorithm.kind: missing; one of ddpo, ddpo_sf, ppo, grpo, rwr, nft, awm",
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
        ({"prompts": {"dataset": "x"}}, "prompts"),
        ({"prompts": {"set": None, "file": "x", "dataset": "y"}}, "prompts"),
        ({"prompts": {"template": "{a}", "column": "a"}}, "prompts.column"),
        ({"prompts": {"split": "test"}}, "prompts.split"),
        ({"prompts": {"config": "main"}}, "prompts.config"),
        ({"evaluation": {"prompts": {"file": "x", "split": "test"}}}, "evaluation.prompts.split"),
        ({"evaluation": {"prompts": {}}}, "evaluation.prompts"),
        ({"algorithm": {"advantages": "group"}}, "algorithm.group_size"),
        ({"algorithm": {"advantages": "leave_one_out", "group_size": 1}}, "algorithm.group_size"),
        ({"algorithm": {"advantage_std": "batch"}}, "algorithm.advantage_std"),
        ({"algorithm": {"min_count": 40}}, "algorithm.min_count"),  # the buffer holds 32
        ({"algorithm": {"clip_range": 1e-4, "clip_nats": 1}}, "algorithm.clip_nats"),
        ({"algorithm": {"kl_target": 6}}, "algorithm.kl_coef"),
        ({"policy": {"eta": 0}}, "policy.eta"),
        (
            {"policy": {"channels_last": True}, "train": {"optimizer": "adamw_8bit"}},
            "policy.channels_last",
        ),
        ({"policy": {"guidance_interval": [0.5, 0.5]}}, "policy.guidance_interval"),
        ({"evaluation": {"guidance_interval": [0.5, 0.5]}}, "evaluation.guidance_interval"),
        (
            {"policy": {"shared_noise": True}, "algorithm": {"kind": "nft"}},
            "policy.shared_noise",
        ),
        ({"algorithm": {"kind": "awm", "step_weights": "std"}}, "algorithm.step_weights"),
        (
            {"algorithm": {"kind": "grpo", "guard": True, "step_weights": "std"}},
            "algorithm.step_weights",
        ),
        ({"algorithm": {"kind": "ddpo_sf"}, "train": {"sample_uses": 2}}, "train.sample_uses"),
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


def test_errors_of_a_configuration_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("a.yaml", ["one", "two"])))
    assert isinstance(error, ConfigError)
    assert str(error) == str(ConfigError("a.yaml", ["one", "two"]))
    assert error.problems == ["one", "two"]
