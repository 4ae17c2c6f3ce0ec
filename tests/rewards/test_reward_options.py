import pytest

import rewards
from rewards import RewardError, reward


@pytest.fixture
def scaled():
    @reward("scaled", modality="text", columns=("reference",))
    def scaled(texts, prompts, *, reference, factor: float, offset: int = 2, flip: bool = False):
        """A number for each text."""
        return [(len(text) * factor + offset) * (-1 if flip else 1) for text in texts]

    return scaled


def test_values_are_read_by_their_declared_type(scaled):
    made = rewards.make("scaled", factor="1e1", offset="3", flip="no")
    assert made(["ab"], ["p"], reference=["r"]).tolist() == [23.0]
    assert (made.name, made.definition.factory) == ("scaled", scaled)


def test_unknown_missing_and_bad_options_are_reported_together(scaled):
    with pytest.raises(RewardError) as caught:
        rewards.make("scaled", ofset=1, offset="x")
    message = str(caught.value)
    assert message.startswith("reward 'scaled': unknown option 'ofset'; did you mean 'offset'?")
    assert "Known: factor, offset, flip;" in message
    assert "option 'factor' is required" in message
    assert "offset='x': Input should be a valid integer" in message


def test_a_column_is_not_an_option(scaled):
    with pytest.raises(RewardError, match="unknown option 'reference'"):
        rewards.make("scaled", factor=1, reference="x")


def test_the_options_of_a_class_are_its_parameters():
    @reward("target_length", modality="text")
    class TargetLength:
        def __init__(self, target: int, tolerance: float = 1.0):
            if target < 0:
                raise ValueError("target is negative")
            self.target = target

        def __call__(self, texts, prompts):
            return [-abs(len(text) - self.target) for text in texts]

    assert rewards.make("target_length", target="3")(["ab"], [""]).tolist() == [-1.0]
    assert TargetLength(2)(["ab"], [""]) == [0]
    with pytest.raises(RewardError, match="cannot be made: ValueError: target is negative"):
        rewards.make("target_length", target=-1)
    with pytest.raises(RewardError, match=r"Known: target, tolerance; option 'target' is required"):
        rewards.make("target_length", size=3)


def test_an_annotation_that_is_not_there_is_one_line():
    @reward("unresolved", modality="text")
    def unresolved(texts, prompts, *, scale: "Nowhere" = 1):  # noqa: F821
        return [scale] * len(texts)

    with pytest.raises(RewardError, match="import it outside `if TYPE_CHECKING`"):
        rewards.make("unresolved")
