"""`python -m rewards score`: files of samples, their numbers, and what is refused in one line."""

import json

import pytest
from PIL import Image

from rewards.__main__ import main


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


def test_score_reads_a_folder_of_a_run_s_texts_with_their_columns(tmp_path, capsys):
    samples = [
        {"text": "the cat", "prompt": "p\u00e9", "columns": {"reference": "the cat", "more": 1}},
        {"text": "a dog", "prompt": "q", "columns": {"reference": "the dog", "more": None}},
    ]
    (tmp_path / "index.json").write_text(json.dumps({"samples": samples}))
    assert main(["score", "exact_match", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"1\t{tmp_path}/#1\tpé\n0\t{tmp_path}/#2\tq\n"
    assert main(["score", "code_tests", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"needs the column 'tests', which {tmp_path}/#1 lacks" in error
    assert main(["score", "jpeg_compressibility", str(tmp_path)]) == 2
    assert f"scores images, and {tmp_path}/#1 is a text" in capsys.readouterr().err


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


def test_only_a_line_feed_ends_a_line(tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_text("a\u2028b\nc\n", encoding="utf-8")
    main(["score", "length", "target=1", str(lines)])
    assert len(capsys.readouterr().out.split("\n")) == 3


def test_options_of_a_reward_may_stand_after_the_prompt(pictures, capsys):
    words = ["jpeg_incompressibility", str(pictures / "a.png"), "--prompt", "red", "quality=50"]
    assert main(["score", *words]) == 0
    after = capsys.readouterr().out
    assert main(["score", words[0], "quality=50", *words[1:4]]) == 0
    assert capsys.readouterr().out == after


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
        (
            "index.json",
            '{"samples": [{"prompt": "p", "text": "t"}, {"prompt": "p"}]}',
            'sample 2 has neither of "file", for a picture, and "text", for a text',
        ),
        (
            "index.json",
            '{"samples": [{"prompt": "p", "text": "t", "file": "a.png"}]}',
            'sample 1 has both of "file", for a picture, and "text"',
        ),
        (
            "index.json",
            '{"samples": [{"prompt": "p", "text": ["t"]}]}',
            'sample 1: "text" is ["t"], which is not a text in quotes',
        ),
        (
            "index.json",
            '{"samples": [{"prompt": "p", "text": "t", "columns": ["c"]}]}',
            'sample 1: "columns" is ["c"], which is not an object in braces',
        ),
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
