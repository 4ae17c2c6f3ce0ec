"""CSV and TSV: values are text, and a bad record is found by the line that it begins on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.prompts.files import loaded, refusal


def test_values_are_text(tmp_path: Path) -> None:
    prompts = loaded(tmp_path, "x.csv", "size,prompt,note\n3,a cat,\n1e-4,a dog,null\n")
    assert prompts.texts == ["a cat", "a dog"]
    assert prompts.columns == {"size": ["3", "1e-4"], "note": ["", "null"]}


def test_marks_line_ends_blank_lines_and_quotes(tmp_path: Path) -> None:
    text = '\ufeffprompt,note\r\n"a, ""b""\r\nc",d\r\n\r\n"e",f\r\n'
    prompts = loaded(tmp_path, "x.CSV", text)
    assert prompts.texts == ['a, "b"\r\nc', "e"]
    assert prompts.columns == {"note": ["d", "f"]}


def test_tabs_divide_a_tsv(tmp_path: Path) -> None:
    prompts = loaded(tmp_path, "x.tsv", "prompt\tnote\na, b\tc\n")
    assert (prompts.texts, prompts.columns) == (["a, b"], {"note": ["c"]})


def test_a_whole_article_is_a_value(tmp_path: Path) -> None:
    limit = csv.field_size_limit(100)
    article = "word " * 40_000
    assert loaded(tmp_path, "x.csv", f"prompt\n{article}\n").texts == [article]
    assert csv.field_size_limit(limit) == 100


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "x.csv holds no prompt"),
        ("prompt,note\n", "x.csv holds no prompt; write one a line"),
        ("prompt,note,prompt\na,b,c\n", "line 1: the header names 'prompt' twice; rename one of"),
        (",prompt\n0,a\n", "line 1: column 1 of the header has no name; give it one"),
        (
            'prompt,note\n"a\n\nb",c\nd, e, f\n',
            "line 5: 3 values beneath a header of 2; put a value that holds a comma into quotes",
        ),
        ("\nprompt,note\na,b\nc\n", "line 4: 1 values beneath a header of 2"),
        ('prompt,note\na,b\n"c,d\ne,f\n', "line 3: the record that begins here cannot be read"),
        ('prompt,note\n"a" b,c\n', "line 2: the record that begins here cannot be read ("),
        ('prompt,note\n\n"",b\n', "line 3: the prompt is empty"),
    ],
)
def test_a_bad_record_is_named(tmp_path: Path, content: str, reason: str) -> None:
    message = refusal(tmp_path, "x.csv", content)
    assert message.startswith("prompts.file: x.csv")
    assert reason in message
