"""docs/writing-a-reward.md works as it is written, from top to bottom.

A block whose first line is a comment with a file's name is that file; a `console` block holds lines
to type, after `$ `, each followed by what it prints, where `…` stands for anything.
"""

import re
from pathlib import Path

import pytest

from tests.support.environment import fresh_environment

DOCUMENT = Path(__file__).parents[2] / "docs" / "writing-a-reward.md"


def blocks(text):
    """The fenced blocks, each with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def typed(block):
    """The lines to type, each with what is printed."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)


def matches(printed, expected):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), flags=re.DOTALL) is not None


def test_the_page_works_from_top_to_bottom(tmp_path):
    environment = fresh_environment(tmp_path / "environment")
    folder = tmp_path / "work"
    folder.mkdir()
    for language, block in blocks(DOCUMENT.read_text()):
        if language != "console":
            name = re.match(r"# (\S+\.\w+)\n", block)
            assert name, f"a block without the name of a file:\n{block}"
            (folder / name[1]).write_text(block)
            continue
        for command, expected in typed(block):
            run = environment.install if " pip install " in command else environment.run
            done = run(command, folder)
            assert done.returncode == 0, f"{command}\n{done.stdout}"
            assert matches(done.stdout, expected), f"{command}\n{done.stdout}\nnot\n{expected}"


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("one\ntwo\n", "one\n…\n", True),
        ("one\ntwo\n", "…two\n", True),
        ("one\ntwo\n", "one\n", False),
        ("got 1.5 (x)\n", "got … (x)\n", True),
        ("", "", True),
        ("error\n", "", False),
    ],
)
def test_what_is_printed_is_compared(printed, expected, same):
    assert matches(printed, expected) == same


def test_lines_to_type_are_told_from_what_they_print():
    assert typed("$ one\n$ two\n2\n3\n$ four\n") == [("one", ""), ("two", "2\n3\n"), ("four", "")]
