"""`python -m rewards serve`: the rewards that are named, with their options and labels."""

import pytest

from rewards.__main__ import main


def test_serve_makes_each_reward_with_its_options_and_its_label(monkeypatch):
    served = {}

    def serve(made, **options):
        served.update({reward.name: reward.options for reward in made}, **options)

    monkeypatch.setattr("rewards.remote.serving.serve", serve)
    monkeypatch.setenv("SECRET", "a token")
    words = "jpeg_compressibility length target=3 jpeg_compressibility quality=10 as=coarse"
    assert main(["serve", *words.split(), "--port", "0", "--token-env", "SECRET"]) == 0
    assert served["jpeg_compressibility"] == {}
    assert (served["length"], served["coarse"]) == ({"target": 3}, {"quality": 10})
    assert (served["port"], served["token"], served["host"]) == (0, "a token", "127.0.0.1")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["length", "target=3", "as="], "as='': a label"),
        (["length", "target=3", "as=a/b"], "as='a/b': a label"),
        (["length", "target=3", "--token-env", "NOPE"], "the variable NOPE is not set"),
    ],
)
def test_serve_refuses_labels_and_tokens_that_are_none(words, complaint, monkeypatch, capsys):
    monkeypatch.setattr("rewards.remote.serving.serve", lambda *made, **options: None)
    assert main(["serve", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_serve_says_that_an_option_follows_a_name(capsys):
    assert main(["serve", "quality=5"]) == 2
    error = capsys.readouterr().err
    assert error == "error: 'quality=5' is an option: put the name of its reward before it\n"
