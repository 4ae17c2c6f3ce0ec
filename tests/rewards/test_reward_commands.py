from pathlib import Path

import pytest

from rewards import registry, reward
from rewards.__main__ import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "rewards.md"


def test_list_names_each_reward_and_its_place(capsys, install):
    install("plugin_listed", "", {"listed": "plugin_listed:listed"})
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.split() == ["listed", "plugin_listed:listed", "(package", "plugin_listed", "1.0)"]
        for line in lines
    )
    assert {*registry.BUILT_IN, "listed"} <= {line.split()[0] for line in lines}


def test_the_table_in_the_documentation_is_current(capsys):
    main(["list", "--markdown"])
    assert capsys.readouterr().out.strip() in DOCUMENT.read_text()


def test_show_prints_the_card(capsys):
    @reward("tidiness", modality="text", columns=("style",), range=(0.0, 1.0), group=True)
    def tidiness(texts, prompts, *, style, strict: bool, depth: int = 3):
        """How tidy it is."""

    assert main(["show", "tidiness"]) == 0
    card = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    card = {fact.strip(): value.strip() for fact, value in card.items()}
    assert card["what"] == "How tidy it is."
    assert card["scores"] == "texts, as a group"
    assert (card["columns"], card["range"]) == ("style", "0 to 1")
    assert card["options"] == "strict: bool; depth: int = 3"


def test_an_unknown_name_is_one_line_and_exit_code_2(capsys):
    assert main(["show", "jpg_compressibility"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown reward 'jpg_compressibility'; did you mean")
    assert error.count("\n") == 1


@pytest.mark.parametrize("low_high", [None, (0.0, float("inf")), (-float("inf"), 2.0)])
def test_open_ranges_are_in_words(low_high, capsys):
    @reward("ranged", modality="text", range=low_high, unit="m")
    def ranged(texts, prompts):
        """A number."""

    main(["show", "ranged"])
    words = {None: "any m", (0.0, float("inf")): "at least 0 m"}.get(low_high, "at most 2 m")
    assert words in capsys.readouterr().out
