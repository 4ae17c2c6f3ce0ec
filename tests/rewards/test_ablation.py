import json

import numpy as np
import pytest

from rewards.__main__ import main
from rewards.ablation import ablate
from rewards.errors import RewardError
from rewards.rule import Role, Rule

PARTS = {
    "big": np.array([0.0, 10.0, 20.0, 30.0]),
    "small": np.array([3.0, 2.0, 1.0, 0.0]),
}
PROMPTS = list("pqrs")
RULE = Rule((Role("big"), Role("small")))


def test_the_part_with_the_scale_decides_a_plain_sum():
    without_big, without_small = ablate(RULE, PARTS, PROMPTS)
    assert (without_big.label, without_big.swapped, without_big.kept) == ("big", 1.0, 0)
    assert (without_small.swapped, without_small.kept, without_small.best) == (0.0, 1, 1)
    assert without_big.moved == (0, 4, 1)


def test_a_pair_that_becomes_a_tie_counts_half_and_samples_without_total_are_left_out():
    parts = {"one": np.array([1.0, 2.0, 3.0, np.nan]), "other": np.array([0.0, 0.0, 1.0, 5.0])}
    without_one, _ = ablate(Rule((Role("one"), Role("other"))), parts, PROMPTS)
    assert without_one.swapped == pytest.approx(0.5 / 3)


def test_a_gate_can_be_left_out_but_not_the_only_reward_that_is_summed():
    rule = Rule((Role("big"), Role("small", 0.0, gate=2.5)))
    (without_gate,) = ablate(rule, PARTS, PROMPTS)
    assert without_gate.label == "small"
    # Only the first passes, and the others fall to the lowest total, which is its own.
    assert without_gate.swapped == 0.0


@pytest.mark.parametrize(
    ("rule", "parts", "complaint"),
    [
        (Rule((Role("big"),)), PARTS, "a single reward decides everything"),
        (RULE, {**PARTS, "big": np.full(4, np.nan)}, "0 samples have all rewards"),
    ],
)
def test_what_cannot_be_ablated_says_so(rule, parts, complaint):
    with pytest.raises(RewardError, match=complaint):
        ablate(rule, parts, PROMPTS)


@pytest.fixture
def run(tmp_path):
    """A run folder with two sets of samples; the older one is not to be looked at."""
    (tmp_path / "config.yaml").write_text(
        "rewards: {big: 1.0, small: {weight: 2.0}}\ncombine: {kind: normalised_sum, within: batch}"
    )
    for iteration in ("000000", "000010"):
        folder = tmp_path / "samples" / iteration
        folder.mkdir(parents=True)
        samples = [
            {
                "file": f"{n:04d}.png",
                "prompt": "p",
                "rewards": {name: float(values[n]) for name, values in PARTS.items()},
                "total": None,
            }
            for n in range(4)
        ]
        samples[1]["rewards"]["small"] = None if iteration == "000010" else 1.0
        (folder / "index.json").write_text(json.dumps({"iteration": 0, "samples": samples}))
    return tmp_path


def test_the_command_reads_a_run_or_its_samples(run, capsys):
    assert main(["ablate", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "samples/000010: 3 of 4 samples with all rewards; normalised sum within each batch of "
        "big × 1, small × 2"
    )
    assert lines[1].split() == ["without", "pairs", "swapped", "best", "kept", "moves", "most"]
    # Without `big` the order stays (small has twice its weight); without `small` it turns.
    assert [line.split()[:2] for line in lines[2:]] == [["big", "0%"], ["small", "100%"]]
    main(["ablate", str(run / "samples" / "000000")])
    assert "4 of 4 samples" in capsys.readouterr().out


def test_prompts_with_one_sample_each_are_compared_with_each_other(run, capsys):
    """An evaluation has one sample of each prompt, also in a run that trains on groups."""
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("within: batch", "within: group"))
    index = run / "samples" / "000010" / "index.json"
    content = json.loads(index.read_text())
    for number, sample in enumerate(content["samples"]):
        sample["prompt"] = f"prompt {number}"
    index.write_text(json.dumps(content))
    main(["ablate", str(run)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("small × 2 (not within each group: each prompt has one sample)")
    assert lines[3].split()[:2] == ["small", "100%"]


def test_texts_are_called_by_their_number(run, capsys):
    index = run / "samples" / "000010" / "index.json"
    content = json.loads(index.read_text())
    for sample in content["samples"]:
        sample["text"] = sample.pop("file")
    index.write_text(json.dumps(content))
    assert main(["ablate", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[3].endswith("#1: rank 1 to 3")
    (run / "config.yaml").write_text("rewards: {big: 1, other: 1}")
    assert main(["ablate", str(run)]) == 2
    assert "sample #1 has no number of the reward 'other'" in capsys.readouterr().err


def test_what_is_no_run_is_one_line_and_exit_code_2(run, tmp_path, capsys):
    (run / "config.yaml").unlink()
    assert main(["ablate", str(run)]) == 2
    assert "is not the configuration of a run" in capsys.readouterr().err
    assert main(["ablate", str(tmp_path / "nowhere")]) == 2
    assert "holds no samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("rewards: [a", "it is not YAML: line 1: "),
        ("a: 1", "it has no section 'rewards'"),
        ("rewards: {big: 1, other: 1}", "sample 0000.png has no number of the reward 'other'"),
    ],
)
def test_what_does_not_fit_is_said_in_plain_words(config, complaint, run, capsys):
    (run / "config.yaml").write_text(config)
    assert main(["ablate", str(run)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert (error.count("\n"), "Error" in error) == (1, False)
