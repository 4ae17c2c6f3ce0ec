import subprocess
import sys
import time
import warnings

import pytest

import rewards
from rewards.code.fences import program_in


def score(text, **options):
    return rewards.make("code_compiles", **options)([text], ["p"]).item()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("def f(x):\n    return x + 1\n", 1),
        ("x = 1", 1),
        ("été = '猫'", 1),
        ("def f(x) return x", 0),
        ("x = (1", 0),
        ("  x = 1", 0),
        ("Here is a function.", 0),
        ("print 'hello'", 0),
        ("", 0),
        (" \n\t\n", 0),
        ("# nothing but a comment", 0),
        ("x = 1\x00", 0),
        ("x = '\ud83d'", 0),
        ("x = " + "9" * 5000, 0),  # more digits than Python reads
        ("```python\nx = 1\n```", 1),
        ("Sure:\n```python\nx = 1\n```\nIt sets x.", 1),
        ("```python\nx = (\n```", 0),
    ],
)
def test_a_text_parses_or_not(text, wanted):
    assert score(text) == wanted


def test_nothing_is_executed(tmp_path):
    assert score(f"open({str(tmp_path / 'trace')!r}, 'w').close()\n1 / 0") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    ["(" * 5000, "-" * 50_000 + "1", "a" + ".b" * 40_000, "[" * 150 + "]" * 150, "if 1:\n " * 3000],
)
def test_nesting_is_no_danger(source):
    start = time.perf_counter()
    assert score(source) in (0, 1)
    assert time.perf_counter() - start < 2


def test_a_text_that_is_too_long_is_not_read():
    source = "x = 1\n" * 1000
    assert score(source, max_length=len(source)) == 1
    assert score(source, max_length=len(source) - 1) == 0


@pytest.mark.parametrize("source", [r"x = '\d'", "x = 1 is 1", "assert (1, 'x')"])
def test_a_warning_is_no_error(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(source) == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```py\nx = 1\n```\n```python\ny = 2\n```", "x = 1\n"),
        ("a\n```\nx = 1\n```\nb", "x = 1\n"),
        ("```bash\nls\n```", "```bash\nls\n```"),
        ("```Python3\r\nx = 1\r\n```", "x = 1\r\n"),
        ("```python\nx = 1", "x = 1"),
        ("```python\n```", ""),
        ("x = '```python'", "x = '```python'"),
    ],
)
def test_the_program_in_a_text(text, wanted):
    assert program_in(text) == wanted


def test_fences_can_be_left_alone():
    assert score("```python\nx = 1\n```", fenced=False) == 0
    assert score("x = 1", fenced=False) == 1


def test_no_tensor_library_is_imported():
    source = (
        "import sys, rewards; rewards.make('code_compiles')(['x'], ['p']); "
        "rewards.definition('code_tests'); "
        "print([n for n in ('torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
