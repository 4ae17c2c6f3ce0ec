"""What all rewards of texts without a model share: no tensor library, and any text is scored."""

import math
import pickle
import subprocess
import sys
import time

import pytest

import rewards
from rewards import RewardError

# Options that each can be made with.
OPTIONS = {
    "bleu": {},
    "chrf": {"word_order": 2},
    "exact_match": {"ignore_case": True, "ignore_punctuation": True, "ignore_spacing": True},
    "length": {"target": 5},
    "regex": {"pattern": r"\bthe\b"},
    "repetition": {},
    "rouge": {"use_stemmer": True},
    "text_compressibility": {},
}
COMPARING = ["bleu", "chrf", "exact_match", "rouge"]
TEXTS = [
    "the cat sat",
    "",
    "été 猫 🐈‍⬛ \u202eاهلا",
    " \n\t",
    "a\x00b\ud83d",
    "the the the",
    "the cat sat",
]
REFERENCES = ["the cat", "a", ["été 猫 1", "x"], "the", "a b", ["the"], "The cat  sat."]

# Run by a fresh interpreter: names the libraries that making and calling the reward has imported.
WITHOUT_TORCH = """
import sys, rewards
for name, options in {options!r}.items():
    made = rewards.make(name, **options)
    print(name, made({texts!r}, {texts!r}, reference={references!r}).shape)
print("imported:", [name for name in ("torch", "transformers", "jaxtyping") if name in sys.modules])
"""


@pytest.fixture(params=OPTIONS)
def made(request):
    return rewards.make(request.param, **OPTIONS[request.param])


def test_no_tensor_library_is_imported():
    source = WITHOUT_TORCH.format(options=OPTIONS, texts=TEXTS, references=REFERENCES)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, imported = done.stdout.splitlines()
    assert lines == [f"{name} ({len(TEXTS)},)" for name in OPTIONS]
    assert imported == "imported: []"


def test_any_text_has_a_number_of_its_own(made):
    low, high = made.definition.range
    values = made(TEXTS, TEXTS, reference=REFERENCES).tolist()
    assert all(low <= value <= high for value in values)
    alone = [
        made([text], [""], reference=[wanted]).item()
        for text, wanted in zip(TEXTS, REFERENCES, strict=True)
    ]
    assert values == alone
    assert len(set(values)) > 1


def test_an_empty_batch_has_no_numbers(made):
    assert made([], [], reference=[]).shape == (0,)
    columns = {column: [] for column in made.definition.columns}
    assert made.function([], [], **columns) == []


@pytest.mark.parametrize("words", [1, 20_000])
def test_a_very_long_text_takes_a_moment(made, words):
    long = " ".join(f"w{i % 977}" for i in range(25_000))
    reference = " ".join(f"w{i % 983}" for i in range(words))
    assert len(long) > 100_000
    start = time.perf_counter()
    value = made([long], [""], reference=[reference]).item()
    assert math.isfinite(value)
    assert time.perf_counter() - start < 5  # a second each, on a machine that is busy


def test_it_can_be_pickled(made):
    again = pickle.loads(pickle.dumps(made))
    values = made(TEXTS, TEXTS, reference=REFERENCES).tolist()
    assert again(TEXTS, TEXTS, reference=REFERENCES).tolist() == values


@pytest.mark.parametrize("name", COMPARING)
def test_a_missing_column_is_named(name):
    with pytest.raises(RewardError, match=f"'{name}' needs the column 'reference'"):
        rewards.make(name)(["a"], ["p"])


@pytest.mark.parametrize("name", COMPARING)
@pytest.mark.parametrize("strange", [None, 3.0, [], ["a", None], {"a": "b"}])
def test_a_reference_that_is_no_text_is_blamed_on_its_row(name, strange):
    scored = rewards.make(name).score(["a", "a"], ["p", "q"], {"reference": ["a", strange]})
    assert [failure.row for failure in scored.failures] == [1]
    assert f"column 'reference' holds {strange!r}: give a text" in scored.failures[0].reason
    assert scored.values[0] == 1


@pytest.mark.parametrize("name", COMPARING)
def test_against_an_empty_reference(name):
    empty = rewards.make(name)(["", "a"], ["", ""], reference=["", ""]).tolist()
    assert empty == ([1, 0] if name == "exact_match" else [0, 0])


def test_direction_and_cost_are_declared():
    declared = {name: rewards.definition(name) for name in OPTIONS}
    assert [n for n, found in declared.items() if found.direction == "lower"] == ["repetition"]
    assert [n for n, found in declared.items() if found.cpu_bound] == ["bleu", "chrf", "rouge"]
