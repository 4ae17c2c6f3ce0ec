import numpy as np
import pytest
import torch

from rewards import make, reward
from rewards.__main__ import main
from rewards.calibration import _read, measure, suggest, unmeasurable

IMAGES = torch.linspace(0, 1, 5).reshape(5, 1, 1, 1).expand(5, 3, 4, 4).contiguous()
PROMPTS = [f"prompt {n % 2}" for n in range(5)]

SAMPLER = """
    import torch

    def sample(path, count, overrides):
        images = torch.linspace(0, 1, count).reshape(count, 1, 1, 1).expand(count, 3, 4, 4)
        return images.contiguous(), [f"{overrides}"] * count, {}
"""


@pytest.fixture(autouse=True)
def _rewards():
    @reward("brightness", modality="image", range=(0.0, 1.0))
    def brightness(images, prompts):
        return images.mean(dim=(1, 2, 3))

    @reward("darkness", modality="image")
    def darkness(images, prompts):
        return -1000 * images.mean(dim=(1, 2, 3))

    @reward("flat", modality="image")
    def flat(images, prompts):
        return torch.zeros(len(prompts))


def test_a_reward_is_measured_by_hand():
    one = measure(make("brightness"), IMAGES, PROMPTS)
    assert one.values.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert one.spread == pytest.approx(np.sqrt(0.125))
    assert one.saturation == 0.4
    assert 0 < one.seconds < 10
    # Prompt 0 has 0, .5 and 1, prompt 1 has .25 and .75.
    assert one.spread_within(PROMPTS) == pytest.approx(np.sqrt((0.25 + 0.25 + 2 * 0.0625) / 5))
    assert np.isnan(one.spread_within(list("abcde")))


def test_weights_make_up_for_scale_and_keep_what_was_meant():
    spreads = {"a": 0.1, "b": 100.0, "flat": 0.0, "watched": 3.0}
    assert suggest(spreads, {"a": 1.0, "b": 2.0, "flat": 1.0}) == {
        "a": 1.0,
        "b": pytest.approx(0.002),
    }
    assert suggest({"flat": 0.0}, {"flat": 1.0}) == {}


def test_the_command_prints_a_table_correlations_and_weights(install, tmp_path, capsys):
    install("some_sampler", SAMPLER, {"made_up": "some_sampler:sample"}, group="ddpo.samplers")
    config = tmp_path / "config.yaml"
    config.write_text(
        "policy: {kind: made_up}\nrewards: {brightness: 1.0, darkness: 1.0}\nwatch: [flat]\n"
    )
    assert main(["calibrate", str(config), "--samples", "5"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:1] == ["5"]
    rows = {line[0]: line for line in lines[2:5]}
    assert rows["brightness"][1:5] == ["0.5", "0.3536", "0.3536", "0.05"]
    assert rows["brightness"][9:11] == ["40%", "0%"]
    correlations = {line[0]: line[1:] for line in lines[9:12]}
    assert correlations["brightness"] == ["1.00", "-1.00", "nan"]
    assert lines[5][:2] == ["one", "prompt:"]
    # By one prompt both spreads are the same, and one suggestion says all.
    assert lines[-2:] == [["brightness:", "1"], ["darkness:", "0.001"]]
    assert sum(line[:1] == ["weights"] for line in lines) == 1


def test_what_cannot_be_calibrated_is_one_line(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("policy: {kind: strange}\nrewards: {brightness: 1.0}\n")
    assert main(["calibrate", str(config)]) == 2
    assert (
        "policy.kind: nothing installed samples 'strange'; known: diffusion"
        in capsys.readouterr().err
    )
    config.write_text("policy: {kind: strange}\n")
    assert main(["calibrate", str(config)]) == 2
    assert "has no section 'rewards'" in capsys.readouterr().err


def test_samples_of_a_prompt_each_say_nothing_of_the_spread_within():
    (line,) = unmeasurable(["a", "b"])
    assert line.startswith("one sample of each prompt: the spread within a prompt cannot")
    assert unmeasurable(["a", "a", "b"]) == []


WATCHED = """
policy: {kind: made_up}
rewards: {brightness: 1.0, darkness: 1e0}
watch: {"watched:shade": 1.0}
"""
SHADE = """
    from rewards import reward

    @reward("shade", modality="image")
    def shade(images, prompts, *, word: str = "no"):
        return images.mean(dim=(1, 2, 3))
"""


@pytest.fixture
def config(install, tmp_path):
    install("some_sampler", SAMPLER, {"made_up": "some_sampler:sample"}, group="ddpo.samplers")
    install("watched", SHADE, {})
    path = tmp_path / "config.yaml"
    path.write_text(WATCHED)
    return path


def test_a_watch_reward_named_by_its_module_has_no_weight(config, capsys):
    assert main(["calibrate", str(config), "--samples", "5"]) == 0
    printed = capsys.readouterr().out
    assert "\nshade " in printed
    assert "  shade:" not in printed


def test_overrides_reach_the_rewards_and_the_sampler(config, capsys):
    words = ["rewards.darkness=null", "rewards={brightness: 1, darkness: 2}", "watch=[flat]"]
    assert main(["calibrate", str(config), *words[1:], "--samples", "5"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("  brightness: 1\n  darkness: 0.002\n")
    assert "shade" not in printed
    assert main(["calibrate", str(config), "--samples", "2", words[0]]) == 2
    assert "darkness" in capsys.readouterr().err


def test_text_is_read_as_training_reads_it(config):
    config.write_text(WATCHED.replace('"watched:shade": 1.0', '"watched:shade": {word: no}'))
    assert _read(config, [])["watch"] == {"watched:shade": {"word": "no"}}


@pytest.mark.parametrize(
    ("text", "words", "complaint"),
    [
        ("a: [1\nb: 2\n", [], "is not YAML: line 2: "),
        ("a: 1\na: 2\n", [], "is not YAML: line 1: a is given twice"),
        ("a\n", [], "is not a mapping of sections"),
        ("rewards: {flat: 1}\n", ["policy"], "override 'policy' is not of the form"),
        ("rewards: {flat: 1}\n", [], "policy.kind: missing; known: "),
        ("rewards: {flat: 1}\nwatch: [flat]\n", [], "'flat' is the optimised reward"),
    ],
)
def test_what_cannot_be_read_is_one_plain_line(text, words, complaint, config, capsys):
    config.write_text(text)
    assert main(["calibrate", str(config), *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert (error.count("\n"), "Error" in error) == (1, False)


def test_a_configuration_that_training_refuses_is_refused_in_the_same_words(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("policy: {kind: diffusion}\nrewards: {flat: 1}\n")
    assert main(["calibrate", str(config)]) == 2
    assert "policy.model: missing; it has no default" in capsys.readouterr().err
