"""What `python -m rewards check` prints, and the files that it reads."""

import json
import subprocess
import sys
import textwrap
from typing import Literal

import pytest

from rewards import RewardError, reward
from rewards.testing.command import check, read_rows


def shouts(texts, prompts, *, loud: Literal["yes", "no"] = "yes"):
    return [2.0 if loud == "yes" else 1.0 for _ in texts]


def test_the_command_prints_a_line_for_each_property_and_fails_with_1():
    reward("shouts", modality="text", range=(0.0, 1.0))(shouts)
    text, status = check("shouts", {"loud": "no"})
    assert status == 0
    assert text.splitlines()[0] == "ok       call"
    assert text.splitlines()[-2:] == [
        "skipped  devices       texts are on no device",
        "shouts keeps the contract",
    ]
    text, status = check("shouts")
    assert status == 1
    assert text.splitlines()[5] == (
        "FAILED   range         row 0 (prompt 'a red circle on a gray background', text "
        "'A red circle lies on a gray table.') got 2, declared from 0 to 1"
    )
    assert text.splitlines()[-1] == "shouts breaks the contract: range, odd-inputs"


def spends(texts, prompts, tests):
    return [float(test.pop()) for test in tests]


def test_a_file_gives_the_command_its_columns(tmp_path):
    reward("spends", modality="text", columns=("tests",))(spends)
    path = tmp_path / "rows.jsonl"
    rows = [
        {"prompt": "one", "text": "1", "tests": [1]},
        {"prompt": "two", "text": "2", "tests": [2, 3]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert read_rows(path) == {
        "prompts": ["one", "two"],
        "samples": ["1", "2"],
        "columns": {"tests": [[1], [2, 3]]},
    }
    text, status = check("spends", columns=path)
    assert (status, "FAILED   inputs" in text) == (1, True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "Expecting value"),
        ('{"text": "a"}', 'line 1 has no "prompt"'),
        ("", "is empty: write a JSON object a line"),
        (
            '{"prompt": "a"}\n{"prompt": "b", "text": "c"}',
            "line 2 has the keys .* must all have the same",
        ),
    ],
)
def test_a_bad_file_is_named(content, complaint, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(RewardError, match=rf"rows\.jsonl.*{complaint}"):
        read_rows(path)


def test_checking_a_text_reward_imports_no_tensor_library():
    code = """
        import sys
        from rewards.testing.command import check
        text, status = check("exact_match")
        assert status == 0, text
        assert not {"torch", "transformers"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
