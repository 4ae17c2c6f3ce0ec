import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from PIL import Image
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


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of one size and one of another."""
    for name, size in (("a.png", (8, 8)), ("b.png", (8, 8)), ("c.png", (64, 64))):
        Image.new("RGB", size, "red").save(tmp_path / name)
    return tmp_path


def test_score_prints_a_number_for_each_file(pictures, capsys):
    files = [str(pictures / name) for name in ("a.png", "c.png", "b.png")]
    assert main(["score", "jpeg_incompressibility", *files, "quality=50", "--prompt", "red"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[1:] for line in lines] == [[file, "red"] for file in files]
    on_disk = pictures / "a.jpg"
    Image.open(pictures / "a.png").save(on_disk, quality=50)
    assert float(lines[0][0]) == pytest.approx(on_disk.stat().st_size / 1000)
    assert lines[0][0] == lines[2][0] != lines[1][0]


def test_score_reads_a_folder_of_a_run_and_lines_of_text(pictures, tmp_path, capsys):
    samples = [{"file": name, "prompt": f"prompt {name}"} for name in ("a.png", "b.png")]
    (pictures / "index.json").write_text(json.dumps({"samples": samples}))
    assert main(["score", "jpeg_compressibility", str(pictures)]) == 0
    assert capsys.readouterr().out.count("prompt b.png") == 1
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "p", "text": "a b", "reference": "a b"}\n' * 2)
    assert main(["score", "exact_match", str(rows)]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["1", "1"]
    lines = tmp_path / "lines.txt"
    lines.write_text("one two\nthree\n")
    assert main(["score", "length", "target=2", str(lines)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_score_says_which_sample_could_not_be_scored(pictures, capsys):
    assert main(["score", "shapes_accuracy", str(pictures / "a.png"), "--prompt", "a cat"]) == 1
    printed = capsys.readouterr().out
    assert printed == f"nan\t{pictures / 'a.png'}\tthe picture is 8x8 pixels, not 64x64\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["missing.png"], "missing.png cannot be read: No such file"),
        (["rows.jsonl"], "rows.jsonl cannot be read: No such file"),
        (["a.png", "quality=900"], "quality='900'"),
        (["a.png", "qualty=9"], "unknown option 'qualty'; did you mean 'quality'?"),
        (["quality=9"], "no samples: name pictures, a folder, or texts"),
    ],
)
def test_score_refuses_in_one_line(words, complaint, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    assert main(["score", "jpeg_compressibility", *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


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


def test_only_a_line_feed_ends_a_line(tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_text("a\u2028b\nc\n", encoding="utf-8")
    main(["score", "length", "target=1", str(lines)])
    assert len(capsys.readouterr().out.split("\n")) == 3


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


def test_options_of_a_reward_may_stand_after_the_prompt(pictures, capsys):
    words = ["jpeg_incompressibility", str(pictures / "a.png"), "--prompt", "red", "quality=50"]
    assert main(["score", *words]) == 0
    after = capsys.readouterr().out
    assert main(["score", words[0], "quality=50", *words[1:4]]) == 0
    assert capsys.readouterr().out == after


def test_serve_says_that_an_option_follows_a_name(capsys):
    assert main(["serve", "quality=5"]) == 2
    error = capsys.readouterr().err
    assert error == "error: 'quality=5' is an option: put the name of its reward before it\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["jpeg_compressibility", "a.png", "b.txt"], "scores images, and b.txt:1 is a text"),
        (["length", "target=1", "b.txt", "a.png"], "scores texts, and a.png is a picture"),
        (["exact_match", "a.jsonl", "b.txt"], "needs the column 'reference', which b.txt:1 lacks"),
        (
            ["jpeg_compressibility", "a.png", "c.png", "gone.png"],
            "gone.png cannot be read: No such file",
        ),
        (["jpeg_compressibility", "cut.png"], "cut.png is damaged, or cut off"),
        (["shapes_accuracy", "a.png"], "and a.png has none: give it with --prompt"),
        (["exact_match", "a.jsonl", "x=[1"], "option x='[1' is not YAML: a list is [a, b]"),
    ],
)
def test_nothing_is_printed_before_a_refusal(words, complaint, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    (pictures / "b.txt").write_text("one\n")
    (pictures / "a.jsonl").write_text('{"prompt": "p", "text": "a", "reference": "a"}\n')
    (pictures / "cut.png").write_bytes((pictures / "c.png").read_bytes()[:-30])
    assert main(["score", *words]) == 2
    printed, error = capsys.readouterr()
    assert printed == ""
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("index.json", None, "has no index.json, as a run's samples/<iteration>/ has"),
        ("index.json", "{", "index.json is not JSON (column 2: Expecting property name"),
        ("index.json", "[]", 'index.json has no list of "samples"'),
        ("index.json", '{"samples": [3]}', "sample 1 is not an object in braces"),
        ("index.json", '{"samples": [{"file": "a.png"}]}', 'sample 1 has no "prompt"'),
        ("a.jsonl", '{"prompt": "p"}', 'line 1 has no "text"'),
        ("a.jsonl", '{"prompt": "p", "text": 3}', 'line 1: "text" is 3, which is not a text'),
        ("a.jsonl", '\n{"prompt": 3}', 'line 2: "prompt" is 3, which is not a text'),
        ("a.jsonl", '{"prompt":', "line 1 is not JSON (column 11: Expecting value)"),
    ],
)
def test_files_of_samples_are_refused_in_plain_words(file, text, complaint, tmp_path, capsys):
    if text is not None:
        (tmp_path / file).write_text(text)
    named = tmp_path if file == "index.json" else tmp_path / file
    assert main(["score", "length", "target=1", str(named)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert (error.count("\n"), "Error" in error) == (1, False)
