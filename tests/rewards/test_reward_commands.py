import json
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
    assert capsys.readouterr().out == f"nan\t{pictures / 'a.png'}\treturned nan\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["missing.png"], "missing.png cannot be read: No such file"),
        (["rows.jsonl"], "rows.jsonl is not a file of lines such as"),
        (["a.png", "quality=900"], "quality='900'"),
        (["a.png", "qualty=9"], "unknown option 'qualty'; did you mean 'quality'?"),
        (["quality=9"], "no samples in nothing"),
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
