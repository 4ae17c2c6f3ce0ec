"""What crosses between the trainer and a program, and how it is compared."""

import json
import math

import pytest

from rewards.code.comparison import matches
from rewards.code.jail.values import MOST_DEEP, UnsendableError, decode, encode

PLAIN = [
    None,
    True,
    0,
    -3,
    2**53 + 1,
    -(2**70),
    10**5000,
    1.5,
    -0.0,
    math.inf,
    "",
    "été 猫",
    "\ud83d",
    [],
    (),
    {},
    [1, (2.0, [None])],
    {"a": [1], (1, 2): {True: "x"}, None: 0},
    ["l", "i"],
]


def wire(value):
    return json.loads(json.dumps(encode(value)))


@pytest.mark.parametrize("value", PLAIN, ids=map(str, range(len(PLAIN))))
def test_a_plain_value_comes_back_as_it_was(value):
    again = decode(wire(value))
    assert again == value
    assert type(again) is type(value)
    assert repr(decode(wire([1, 1.0, True, (1,), [1]]))) == "[1, 1.0, True, (1,), [1]]"
    assert math.isnan(decode(wire(math.nan)))


class Always(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("value", [{1}, b"x", 1j, object(), Always(1), [Always(1)], {Always(1): 0}])
def test_anything_else_is_not_sent(value):
    with pytest.raises(UnsendableError, match="a value of the type"):
        encode(value)


def test_nesting_is_bounded():
    deep = 0
    for _ in range(MOST_DEEP):
        deep = [deep]
    assert decode(wire(deep)) == deep
    with pytest.raises(UnsendableError, match="nested more than 50 deep"):
        encode([deep])
    endless = []
    endless.append(endless)
    with pytest.raises(UnsendableError, match="nested"):
        encode(endless)


@pytest.mark.parametrize(
    "strange",
    [{}, {"a": 1}, [], ["x", 1], [1, 2], ["i"], ["i", 5], ["i", "z"], ["d", 1], ["d", [1]],
     ["d", [["l"], 1]], [["l"]], json.loads("[" * 500 + "]" * 500)],
)  # fmt: skip
def test_strange_claims_are_refused_and_match_nothing(strange):
    with pytest.raises(UnsendableError):
        decode(strange)
    for value in PLAIN:
        assert not matches(value, strange)


@pytest.mark.parametrize(
    ("expected", "returned", "wanted"),
    [
        (3, 3, True),
        (3, 4, False),
        (3, 3.0, True),
        (1, True, True),
        (3, "3", False),
        (0, None, False),
        (0, "", False),
        (0.3, 0.1 + 0.2, False),
        (math.nan, math.nan, False),
        (2**80, 2**80, True),
        (2**80, 2**80 + 1, False),
        ([1, 2], [1, 2], True),
        ([1, 2], (1, 2), False),
        ([1, 2], [2, 1], False),
        ([1, 2], [1, 2, 3], False),
        ([], [], True),
        ([], (), False),
        ([], {}, False),
        ({}, {}, True),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ({1: "x"}, {"1": "x"}, False),
        ({(1, 2): "x"}, {(1, 2): "x"}, True),
        ("l", ["l"], False),
        (["l"], "l", False),
    ],
)
def test_values_are_compared_as_python_does(expected, returned, wanted):
    assert matches(expected, wire(returned)) is wanted


def test_plain_values_match_themselves_and_nothing_else():
    for i, one in enumerate(PLAIN):
        for j, other in enumerate(PLAIN):
            assert matches(one, wire(other)) is (i == j or (one, other) in [(0, -0.0), (-0.0, 0)])


def test_a_claim_of_the_same_key_twice_does_not_match():
    assert not matches({"a": 1, "b": 1}, ["d", ["a", 1], ["a", 1]])
    assert not matches({"a": 1}, ["d", [["l"], 1]])


def test_a_large_claim_costs_nothing():
    large = ["d", *([["i", hex(k * (2**61 - 1))], 0] for k in range(10**5))]
    assert not matches({1: 0}, large)
    assert not matches([1], ["l"] + [0] * 10**5)
