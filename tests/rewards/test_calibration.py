import numpy as np
import pytest
import torch

from rewards import make, reward
from rewards.__main__ import main
from rewards.calibration import measure, suggest

IMAGES = torch.linspace(0, 1, 5).reshape(5, 1, 1, 1).expand(5, 3, 4, 4).contiguous()
PROMPTS = [f"prompt {n % 2}" for n in range(5)]

SAMPLER = """
    import torch

    def sample(path, count):
        images = torch.linspace(0, 1, count).reshape(count, 1, 1, 1).expand(count, 3, 4, 4)
        return images.contiguous(), ["a cat"] * count, {}
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
    correlations = {line[0]: line[1:] for line in lines[8:11]}
    assert correlations["brightness"] == ["1.00", "-1.00", "nan"]
    assert lines[-2:] == lines[-6:-4] == [["brightness:", "1"], ["darkness:", "0.001"]]


def test_what_cannot_be_calibrated_is_one_line(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("policy: {kind: strange}\nrewards: {brightness: 1.0}\n")
    assert main(["calibrate", str(config)]) == 2
    assert "nothing installed samples a 'strange' policy" in capsys.readouterr().err
    config.write_text("policy: {kind: strange}\n")
    assert main(["calibrate", str(config)]) == 2
    assert "it has no section 'rewards'" in capsys.readouterr().err
