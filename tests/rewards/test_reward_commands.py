"""`python -m rewards`: the list, the cards, and what all commands answer alike."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from rewards import registry, reward
from rewards.__main__ import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "rewards.md"


LISTED = """
    from rewards import reward

    @reward("listed", modality="text")
    def listed(texts, prompts):
        return [0.0] * len(texts)
"""


def test_list_names_each_reward_and_its_place(capsys, install):
    install("plugin_listed", LISTED, {"listed": "plugin_listed:listed"})
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.split() == ["listed", "plugin_listed:listed", "(package", "plugin_listed", "1.0)"]
        for line in lines
    )
    assert {*registry.BUILT_IN, "listed"} <= {line.split()[0] for line in lines}


def test_list_reports_each_broken_plugin_and_all_others(capsys, install):
    install("raises", "raise RuntimeError('no licence key')", {"bad": "raises:bad"})
    install("absent", "", {"gone": "absent:gone"})
    shadow = LISTED.replace('"listed"', '"jpeg_compressibility"')
    install("shadow", shadow, {"jpeg_compressibility": "shadow:listed"})
    assert main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[::-1]}
    assert "BROKEN: reward 'bad' from raises:bad" in lines["bad"]
    assert lines["bad"].endswith("cannot be loaded: RuntimeError: no licence key")
    assert "BROKEN" in lines["gone"]
    main(["list"])
    printed = capsys.readouterr().out
    assert "jpeg_compressibility    shadow:listed (package shadow 1.0)  IGNORED" in printed
    assert "\nshapes_accuracy         ddpo.worlds.shapes.rewards:ShapesAccuracy (" in printed
    assert printed.count("BROKEN") == 2


def test_listing_loads_no_tensor_library():
    code = (
        "import sys; from rewards.__main__ import main; main(['list']);"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic', 'open_clip'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_table_in_the_documentation_is_current(capsys):
    main(["list", "--markdown"])
    assert capsys.readouterr().out.strip() in DOCUMENT.read_text()


Depth = Annotated[int, Field(ge=1)] | None


def test_show_prints_the_card(capsys):
    @reward("tidiness", modality="text", columns=("style",), range=(0.0, 1.0), group=True)
    def tidiness(texts, prompts, *, style, strict: bool, depth: Depth = 3):
        """How tidy it is."""

    assert main(["show", "tidiness"]) == 0
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    card = {fact.strip(): value.strip() for fact, value in lines}
    assert card["what"] == "How tidy it is."
    assert card["scores"] == "texts, with all samples of a prompt"
    assert (card["columns"], card["range"]) == ("style", "0 to 1")
    assert (card["options"], lines[-1][1].strip()) == ("strict: bool", "depth: int | None = 3")


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
    words = {None: "any (m)", (0.0, float("inf")): "at least 0 m"}.get(low_high, "at most 2 m")
    assert words in capsys.readouterr().out


def test_the_card_names_the_weights_and_whether_they_are_pinned(capsys):
    from rewards import Weights

    pinned = Weights("https://example.org/head.safetensors", sha256="ab" * 32)
    declared = {"licence": "MIT", "weights": (pinned, Weights("hf-hub:owner/name"))}

    @reward("weighty", modality="image", direction="lower", **declared)
    def weighty(images, prompts):
        """How heavy it is."""

    main(["show", "weighty"])
    shown = capsys.readouterr().out
    assert (
        f"https://example.org/head.safetensors (sha256 {'ab' * 32}); hf-hub:owner/name (no" in shown
    )
    assert "higher is better: the sign of what it measures is turned" in shown


def test_a_module_that_ends_the_program_is_a_broken_plugin(install, capsys):
    install("ends", "raise SystemExit(3)", {})
    assert main(["show", "ends:x"]) == 2
    assert "SystemExit: 3" in capsys.readouterr().err


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", [["list"], ["show", "bleu"], ["score", "--help"]])
def test_a_full_disk_is_one_line_and_a_closed_pipe_is_none(words, buffered):
    command = [sys.executable, "-m", "rewards", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
    options = {"stderr": subprocess.PIPE, "text": True, "env": environment}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, **options)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output cannot be written: No space left on device")
    assert done.stderr.count("\n") == 1
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, **options)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["calibrate", "x", "--samples", "0"], "--samples: '0' is not a whole number of 1 or more"),
        (["calibrate", "x", "--samples", "a"], "--samples: 'a' is not a whole number of 1 or more"),
        (["serve", "bleu", "--port", "99999"], "--port: '99999' is not a whole number from 0 to"),
        (["show", "bleu", "x=1"], "unexpected: x=1; see python -m rewards show --help"),
        (["score", "bleu", "a.txt", "--promt", "x"], "unexpected: --promt; see"),
        (["lst"], "COMMAND: invalid choice: 'lst' (choose from 'list', "),
    ],
)
def test_arguments_are_refused_in_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {complaint}")
    assert error.count("\n") == 1
