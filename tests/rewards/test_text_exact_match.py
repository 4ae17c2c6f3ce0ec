import pytest

import rewards


def score(text, reference, **options):
    return rewards.make("exact_match", **options)([text], ["p"], reference=[reference]).item()


@pytest.mark.parametrize(
    ("text", "reference", "wanted"),
    [
        ("Paris", "Paris", 1),
        ("paris", "Paris", 0),
        ("Paris ", "Paris", 0),
        ("Paris.", "Paris", 0),
        ("", "", 1),
        ("", "Paris", 0),
        ("e\u0301te\u0301", "été", 1),
        ("Paris", ["Lutetia", "Paris"], 1),
        ("Par", ["Lutetia", "Paris"], 0),
        ("Paris", ("Lutetia", "Paris"), 1),
    ],
)
def test_a_text_equals_its_reference_to_the_letter(text, reference, wanted):
    assert score(text, reference) == wanted


@pytest.mark.parametrize(
    ("option", "text", "reference", "different"),
    [
        ("ignore_case", "STRASSE", "Straße", "Strase"),
        ("ignore_punctuation", "«Paris», ‘it’s’!", "Paris its", "Paris it s"),
        ("ignore_spacing", "\tin  Paris\n", "in Paris", "inParis"),
    ],
)
def test_each_option_forgives_one_difference(option, text, reference, different):
    assert score(text, reference) == 0
    assert score(text, reference, **{option: True}) == 1
    assert score(text, different, **{option: True}) == 0


def test_options_work_together():
    every = {"ignore_case": True, "ignore_punctuation": True, "ignore_spacing": True}
    assert score(" PARIS – France. ", "Paris France", **every) == 1
    assert score("+5", "5", **every) == 0
    assert score("-5", "5", **every) == 1  # as documented
