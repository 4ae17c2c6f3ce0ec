"""Prompts made of rows: by a column or a template, as many as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts import load_prompts
from ddpo.prompts.template import parse_template
from tests.prompts.files import loaded, refusal

ROWS = '{"text": "a cat", "size": 3, "a.b": "x", "many": [1]}\n' * 2


def test_a_template_takes_values_of_the_row_and_all_columns_travel(tmp_path: Path) -> None:
    lines = '{"text": "{a} cat", "size": 3}\n{"text": "a dog", "size": 2.5}\n'
    prompts = loaded(tmp_path, "x.jsonl", lines, template="{{{size}}} of {text}, {text}.\n")
    assert prompts.texts == ["{3} of {a} cat, {a} cat.\n", "{2.5} of a dog, a dog.\n"]
    assert prompts.columns == {"text": ["{a} cat", "a dog"], "size": [3, 2.5]}


def test_a_column_with_a_dot_is_a_whole_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, "x.jsonl", ROWS, template="{a.b}!").texts == ["x!", "x!"]


def test_another_column_may_be_the_prompt(tmp_path: Path) -> None:
    lines = '{"question": "why?", "prompt": "other"}'
    prompts = loaded(tmp_path, "x.jsonl", lines, column="question")
    assert (prompts.texts, prompts.columns) == (["why?"], {"prompt": ["other"]})


@pytest.mark.parametrize("name", ["x.txt", "x.csv"])
def test_the_first_rows_are_taken(tmp_path: Path, name: str) -> None:
    lines = "prompt\na\nb\nc\n"
    assert loaded(tmp_path, name, lines, limit=2).texts[-1] == ("a" if name == "x.txt" else "b")
    assert len(loaded(tmp_path, name, lines, limit=9)) == (4 if name == "x.txt" else 3)
    assert len(load_prompts(PromptsConfig(set="animals", limit=3))) == 3


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a {txt}", "'a {txt}': x.jsonl has no column 'txt'; did you mean 'text'? Its columns: "),
        ("{zzz}", "has no column 'zzz'; its columns: 'text', 'size', 'a.b', 'many'"),
        ("{text.upper}", "has no column 'text.upper'; did you mean 'text'?"),
        ("{many[0]}", "has no column 'many[0]'; did you mean 'many'?"),
        ("{0}", "has no column '0'"),
        ("{}", "is not a template: {} names no column"),
        ("no column", "is not a template: it names no column, so that all prompts would be the"),
        ("{{text}}", "is not a template: it names no column"),
        ("{text!r}", "is not a template: write {text} alone, or {text:.200} for its first"),
        ("{size:>5}", "is not a template: write {size} alone"),
        ("{text:{size}}", "is not a template: write {text} alone"),
        ("a } {text}", "is not a template: Single '}' encountered in format string; double a"),
        ("{text", "is not a template: expected '}' before end of string"),
    ],
)
def test_a_template_that_cannot_be_filled(tmp_path: Path, template: str, reason: str) -> None:
    message = refusal(tmp_path, "x.jsonl", ROWS, template=template)
    assert message.startswith("prompts.template: ")
    assert reason in message


@pytest.mark.parametrize("value", ["null", "[1]", "[]", '["a", 1]', '{"a": 1}', "true"])
def test_a_template_takes_text_and_numbers(tmp_path: Path, value: str) -> None:
    lines = f'{{"text": "a"}}\n{{"text": {value}}}'
    message = refusal(tmp_path, "x.jsonl", lines, template="{text}")
    assert message.startswith("prompts.file: x.jsonl: line 2: 'text' is ")
    assert message.endswith(", and a template takes text, texts and numbers")


def test_a_template_takes_the_beginning_of_a_text(tmp_path: Path) -> None:
    lines = '{"text": "abcdef", "size": 12345}\n{"text": "ab", "size": 1}'
    prompts = loaded(tmp_path, "x.jsonl", lines, template="<{text:.3}> {size:.2}{text:.0}")
    assert prompts.texts == ["<abc> 12", "<ab> 1"]
    assert prompts.columns["text"] == ["abcdef", "ab"]  # whole for the rewards


def test_a_list_of_texts_is_put_in_with_one_a_line(tmp_path: Path) -> None:
    prompts = loaded(
        tmp_path, "x.jsonl", '{"tests": ["assert a", "assert b"]}', template="{tests}!"
    )
    assert prompts.texts == ["assert a\nassert b!"]


def test_columns_get_the_names_that_rewards_know(tmp_path: Path) -> None:
    rows = "text,highlights,id\na,b,c\n"
    swapped = {"highlights": "reference", "id": "highlights"}
    prompts = loaded(tmp_path, "x.csv", rows, column="text", rename=swapped)
    assert prompts.columns == {"reference": ["b"], "highlights": ["c"]}
    message = refusal(tmp_path, "x.csv", rows, column="text", rename={"hilights": "reference"})
    assert message.startswith("prompts.rename: x.csv has no column 'hilights'; did you mean")
    message = refusal(tmp_path, "x.csv", rows, column="text", rename={"highlights": "id"})
    assert message == "prompts.rename: x.csv has a column 'id' already"


def test_columns_are_named_once_and_in_order() -> None:
    assert parse_template("{b} {a} {b}").columns == ["b", "a"]


def test_a_missing_column_names_those_there_are(tmp_path: Path) -> None:
    assert refusal(tmp_path, "x.csv", "text,note\na,b\n") == (
        "prompts.column: x.csv has no column 'prompt'; its columns: 'text', 'note'; name one of "
        "them, or write prompts.template"
    )
    message = refusal(tmp_path, "x.csv", "text,note\na,b\n", column="txt")
    assert "no column 'txt'; did you mean 'text'? Its columns: 'text', 'note'" in message
    many = ",".join(f"c{number}" for number in range(30))
    assert refusal(tmp_path, "x.csv", f"{many}\n{many}").count("'c") == 20


@pytest.mark.parametrize(
    ("key", "value"), [("template", "{a}"), ("column", "a"), ("rename", {"a": "b"})]
)
def test_prompts_without_columns_have_no_template(tmp_path: Path, key: str, value: Any) -> None:
    message = refusal(tmp_path, "x.txt", "a\n", **{key: value})
    assert message.startswith(f"prompts.{key}: x.txt is prompts without columns; leave the key out")
    with pytest.raises(UserError, match=f"prompts.{key}: the set 'animals' is prompts without"):
        load_prompts(PromptsConfig(set="animals", **{key: value}))


@pytest.mark.parametrize("name", ["x.json", "x.md", "x.jsonl.gz"])
def test_a_file_of_no_known_kind(tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    assert refusal(tmp_path, name, "a\n") == (
        f"prompts.file: {name}: a file '{suffix}' is of no known kind; write one prompt a line "
        f"into a .txt, or columns into one of .jsonl, .csv, .tsv, .parquet"
    )


def test_messages_bear_the_key_of_the_section(tmp_path: Path) -> None:
    for section in (
        PromptsConfig(set="nothing"),
        PromptsConfig(file=tmp_path / "absent.txt"),
        PromptsConfig(file=tmp_path / "absent.jsonl"),
        PromptsConfig(file=tmp_path / "absent.csv"),
    ):
        with pytest.raises(UserError, match=r"^evaluation\.prompts\.(set|file): "):
            load_prompts(section, "evaluation.prompts")
