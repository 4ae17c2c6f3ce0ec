"""BLEU: values by hand, and those of sacrebleu's command line."""

import math
import subprocess
import sys

import pytest

import rewards
from rewards import RewardError

TEXTS = [
    "The cat sat on the mat.",
    "the cat the cat the cat",
    "It's 3.5 o'clock, isn't it?",
    "L'été, le chat – 猫 – dort à Zürich.",
    "猫在垫子上",
    "no",
    "Nothing in common",
]
REFERENCES = [
    "The cat is sitting on the mat.",
    "The cat sat on the mat",
    "It is 3.5 o'clock, is it not?",
    "L'été, le chat – 猫 – mange à Zürich.",
    "猫在垫子上",
    "no, never",
    "entirely different words",
]
OTHERS = [
    "On the mat sat the cat.",
    "the cat",
    "It's half past three.",
    "En été, un chat dort.",
    "一只猫在垫子上",
    "no way",
    "Nothing",
]


def command_line(folder, references, *options):
    """Scores / 100 that `sacrebleu` prints, to ten digits, one a line."""
    for name, lines in {"hypothesis": TEXTS, **references}.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", *references, "-i", "hypothesis", "-m", "bleu"]
    done = subprocess.run(
        [*command, "-sl", "-b", "-w", "10", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) / 100 for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ((), {}),
        (("--tokenize", "zh"), {"tokenize": "zh"}),
        (("--tokenize", "intl", "--lowercase"), {"tokenize": "intl", "lowercase": True}),
    ],
)
def test_the_number_is_that_of_the_command_line(flags, options, tmp_path):
    wanted = command_line(tmp_path, {"reference": REFERENCES}, *flags)
    found = rewards.make("bleu", **options)(TEXTS, TEXTS, reference=REFERENCES)
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)
    assert len(set(wanted)) > 5  # the case distinguishes something


def test_several_references_are_those_of_the_command_line(tmp_path):
    wanted = command_line(tmp_path, {"one": REFERENCES, "two": OTHERS})
    both = [list(pair) for pair in zip(REFERENCES, OTHERS, strict=True)]
    found = rewards.make("bleu")(TEXTS, TEXTS, reference=both)
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)
    single = rewards.make("bleu")(TEXTS, TEXTS, reference=REFERENCES)
    assert single.tolist() != pytest.approx(wanted, abs=1e-3)


def test_a_value_by_hand():
    # 1-grams 4/5, 2-grams 3/4, 3-grams 2/3, 4-grams 1/2; as long as the reference.
    value = rewards.make("bleu")(["a b c d x"], [""], reference=["a b c d e"])
    assert value.item() == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    # Two words have no 3-grams: both orders are perfect, and the text is half as long.
    short = rewards.make("bleu")(["a b"], [""], reference=["a b c d"])
    assert short.item() == pytest.approx(math.exp(1 - 4 / 2))
    # No common 2-gram: exponential smoothing counts half a match of 2.
    smooth = rewards.make("bleu")(["a x b"], [""], reference=["a b c"])
    assert smooth.item() == pytest.approx((2 / 3 * (1 / 2) / 2 * (1 / 4) / 1) ** (1 / 3))


def test_case_counts_unless_told():
    texts, reference = ["A B C D"], ["a b c d"]
    assert rewards.make("bleu")(texts, texts, reference=reference).item() == 0
    lower = rewards.make("bleu", lowercase=True)(texts, texts, reference=reference)
    assert lower.item() == pytest.approx(1)


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(RewardError, match=r"'bleu': tokenize='13b': Input should be '13a', 'intl'"):
        rewards.make("bleu", tokenize="13b")
