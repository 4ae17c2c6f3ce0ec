"""JSON lines: values keep their types, and a bad line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prompts.files import loaded, refusal


def test_values_keep_their_types(tmp_path: Path) -> None:
    lines = (
        '{"prompt": "a cat", "size": 3, "tests": [[1, "one"], [2, "two"]], "of": {"a": null}}\n'
        '{"size": 2.5, "prompt": "ein Kätzchen", "of": {"b": [true]}, "tests": []}\n'
    )
    prompts = loaded(tmp_path, "x.jsonl", lines)
    assert prompts.texts == ["a cat", "ein Kätzchen"]
    assert prompts.columns == {
        "size": [3, 2.5],
        "tests": [[[1, "one"], [2, "two"]], []],
        "of": [{"a": None}, {"b": [True]}],
    }


def test_marks_line_ends_and_blank_lines_are_no_part_of_it(tmp_path: Path) -> None:
    text = '\ufeff\n{"prompt": "a\\nb"}\r\n\r\n   \n{"prompt": "c\u2028d"}'
    assert loaded(tmp_path, "x.jsonl", text).texts == ["a\nb", "c\u2028d"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "x.jsonl holds no prompt; write one a line"),
        ("\n \n", "x.jsonl holds no prompt; write one a line"),
        ('{"prompt": "a"}\n\n{"prompt": "b",}', "x.jsonl: line 3 is not JSON (column 16: "),
        ('{"prompt": "a"}\n["b"]', "x.jsonl: line 2 is not an object in braces, such as "),
        (
            '{"prompt": "a", "size": 1}\n\n{"prompt": "b"}',
            "x.jsonl: line 3 has the keys 'prompt', and line 1 has 'prompt', 'size': lines must",
        ),
        ('{"prompt": "a"}\n{"prompt": null}', "line 2: the prompt 'prompt' is missing (null)"),
        ('\n{"prompt": 3}', "line 2: the prompt 'prompt' is 3, and must be a text"),
        ('{"prompt": "a"}\n\n{"prompt": " "}', "x.jsonl: line 3: the prompt is empty; write one"),
        (
            '{"prompt": "a \\ud83d"}',
            "line 1: the prompt holds half of a surrogate pair; take it out",
        ),
        ('{"prompt": "a"}\n{"prompt": "é"}'.encode("latin-1"), "it is not UTF-8 text (line 2)"),
        ('{"prompt": "a"}'.encode("utf-16"), "it is not UTF-8 text (line 1); save it as UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str | bytes, reason: str) -> None:
    message = refusal(tmp_path, "x.jsonl", content)
    assert message.startswith("prompts.file: x.jsonl")
    assert reason in message
