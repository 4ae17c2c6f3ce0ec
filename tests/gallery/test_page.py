"""The page as a file: what it holds, what it is not, and how it is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from ddpo.gallery import whole_file, write_gallery
from ddpo.gallery.formatting import MINUS
from ddpo.gallery.page import CONTENT_POLICY
from tests.gallery import made_up

HOSTILE = "<script>alert(1)</script> \"quoted\" 'too' & \u202ereversed </bdi><img src=x onerror=y>"
VOID = {"meta", "link", "img", "br", "wbr", "hr"}


class Page(HTMLParser):
    """The elements and the text of a page; fails where tags do not match."""

    def __init__(self, source: str):
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(source)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return self.texts["body"][0]


def _written(run: Path) -> Page:
    return Page(write_gallery(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return _written(made_up.write_whole_run(tmp_path_factory.mktemp("runs") / "whole"))


def test_a_whole_run_shows_prompts_rewards_pictures_and_curves(whole: Page):
    for prompt in made_up.PROMPTS:
        assert prompt in whole.texts["bdi"]
    assert len(whole.attributes("img")) == 6 * len(made_up.PROMPTS)
    assert len(whole.attributes("svg")) == 2
    headings = ["base", "iteration 10", "iteration 15", "iteration 25", "iteration 30"]
    for heading in [*headings, "iteration 40, final"]:
        assert heading in whole.texts["th"]
    assert "All 40 iterations done, with 5,120 samples and 3 min 52 s" in whole.text
    assert "the reward may be being gamed" in whole.text
    assert "5,120" in whole.text
    assert "clip_range: 1.0e-4" in whole.texts["pre"][0]
    assert any("clip range 1.0e-4" in fact for fact in whole.texts["dd"])
    assert [a["class"] for a in whole.attributes("polygon")] == ["band reward"]


def test_evaluations_are_drawn_as_marks(whole: Page):
    marks = [a for a in whole.attributes("path") if (a["class"] or "").startswith("mark")]
    assert [a["class"] for a in marks] == ["mark reward"] * 4 + ["mark watch"] * 4


def test_every_reward_stands_beneath_its_picture(tmp_path: Path):
    entries = [
        made_up.sample("a cat", -1.25, rewards={"a": -2.5, "b": 1.25}, watch={"w": 0.625}),
        made_up.sample("a dog", None, rewards={"a": None, "b": 0.375}, watch={"w": None}),
    ]
    made_up.write_samples(tmp_path, 0, entries)
    cat, dog = _written(tmp_path).texts["td"]
    assert re.findall(rf"[{MINUS}\d][\d.]+|not scored", cat) == [
        f"{MINUS}1.250",
        "0.625",
        f"{MINUS}2.500",
        "1.250",
    ]
    assert re.findall(r"\d[\d.]+|not scored", dog) == ["not scored"] * 3 + ["0.375"]


def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path):
    made_up.write_config(tmp_path, name=HOSTILE)
    entries = [made_up.sample(HOSTILE, 1.0, rewards={HOSTILE: 1.0}, watch={HOSTILE: 1.0})]
    made_up.write_samples(tmp_path, 0, entries)
    made_up.write_samples(tmp_path, 1, entries)
    made_up.write_metrics(
        tmp_path, [{"iteration": i, f"watch/{HOSTILE}": i, "reward/mean": i} for i in (1, 2)]
    )
    shown = _written(tmp_path)
    assert shown.texts["bdi"].count(HOSTILE) == 2  # the name of the run, and the prompt
    assert shown.attributes("script") == [{"src": "gallery.js"}]
    assert len(shown.attributes("img")) == 2
    assert all(not name.startswith("on") for _, found in shown.elements for name in found)
    assert shown.attributes("img")[0]["alt"] == f"base: {HOSTILE}"


def test_a_file_name_cannot_leave_the_folder(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    folder = made_up.write_samples(tmp_path, 0, [made_up.sample()])
    entry = made_up.sample(file="../../secret.png")
    (folder / "index.json").write_text(json.dumps({"iteration": 0, "samples": [entry]}))
    shown = _written(tmp_path)
    assert "picture missing" in shown.text
    assert not shown.attributes("img")


def test_the_page_asks_for_its_own_files_alone(whole: Page):
    for _, attributes in whole.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            assert not re.match(r"(\w+:)?//|https?:", attributes.get(name) or "")
        assert "style" not in attributes
    assert "http://" not in whole.source
    assert "https://" not in whole.source
    assert "@import" not in whole.source
    assert "url(" not in whole.source


def test_the_content_policy_lets_no_text_become_markup(whole: Page):
    (policy,) = [
        attributes["content"]
        for attributes in whole.attributes("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == "; ".join(CONTENT_POLICY)
    assert "unsafe" not in policy
    assert CONTENT_POLICY[0] == "default-src 'none'"


def test_without_scripts_the_first_rows_are_there_and_the_rest_is_said(tmp_path: Path):
    made_up.write_samples(tmp_path, 0, [made_up.sample(f"prompt {i}") for i in range(10)])
    shown = _written(tmp_path)
    assert len(shown.attributes("img")) == 8
    assert "The first 8 of 10 prompts are shown." in shown.text
    assert "Scripts are off" in shown.texts["noscript"][0]


def test_pictures_are_small_copies_that_link_to_the_run_s_own(tmp_path: Path):
    folder = made_up.write_samples(tmp_path, 30, [made_up.sample()])
    written = write_gallery(tmp_path)
    shown = Page(written.read_text())
    assert [image["src"] for image in shown.attributes("img")] == ["thumbs/000030/0000.webp"]
    (link,) = [a["href"] for a in shown.attributes("a") if a["href"] != "#pictures"]
    assert link == "pictures/000030/0000.png"
    assert (written.parent / link).read_bytes() == (folder / "0000.png").read_bytes()


def test_parts_that_are_missing_are_named(tmp_path: Path):
    made_up.write_config(tmp_path)
    assert "metrics.jsonl is missing" in _written(tmp_path).text
    assert "There are no sample pictures yet." in _written(tmp_path).text
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    assert "Only the base model's pictures are there" in _written(tmp_path).text
    assert "0 of 40 iterations done: the run is still going" in _written(tmp_path).text
    (tmp_path / "config.yaml").write_text("name: [cut")
    assert "config.yaml could not be read" in _written(tmp_path).text
    (tmp_path / "config.yaml").unlink()
    assert "config.yaml is missing" in _written(tmp_path).text


def test_samples_that_are_damaged_or_unfinished_are_named(tmp_path: Path):
    made_up.write_samples(tmp_path, 0, [made_up.sample("a cat"), made_up.sample("a dog")])
    folder = made_up.write_samples(tmp_path, 5, [made_up.sample("a cat")])
    (folder / "0000.png").write_bytes((folder / "0000.png").read_bytes()[:60])
    cut = made_up.write_samples(tmp_path, 10, [made_up.sample("a cat")])
    (cut / "index.json").write_text('{"iteration": 10, "samp')
    shown = _written(tmp_path)
    assert "samples/000010 was left out" in shown.text
    cells = shown.texts["td"]
    assert "picture missing" in cells[1]
    assert cells[3] == "not there"


@pytest.mark.parametrize(
    "text",
    ["[]", '{"samples": 3}', '{"samples": [{"file": "0000.png"}]}', "[" * 100_000, "9" * 5000, "é"],
)
def test_an_index_that_is_none_is_left_out_and_said(text: str, tmp_path: Path):
    made_up.write_samples(tmp_path, 0, [made_up.sample("a cat")])
    folder = made_up.write_samples(tmp_path, 5, [made_up.sample("a cat")])
    (folder / "index.json").write_text(text, encoding="latin-1")
    shown = _written(tmp_path)
    assert "samples/000005 was left out: its index.json is unreadable." in shown.text
    assert len(shown.attributes("img")) == 1


def test_a_picture_of_another_prompt_does_not_stand_in_the_row(tmp_path: Path):
    made_up.write_samples(tmp_path, 0, [made_up.sample("a cat")])
    made_up.write_samples(tmp_path, 5, [made_up.sample("a dog")])
    assert _written(tmp_path).texts["td"][1] == "not there"


def test_settings_are_shown_as_they_were_written(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("algorithm: {kind: ddpo, whiten: no, rate: 3e-04}\n")
    assert "ddpo, whiten no, rate 3e-04" in _written(tmp_path).texts["dd"]


def test_a_last_line_cut_by_a_kill_is_skipped_and_said(tmp_path: Path):
    rows = [{"iteration": i, "reward/mean": float(i), "reward/std": 0.5} for i in (1, 2)]
    made_up.write_metrics(tmp_path, rows)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 3, "reward/me')
    shown = _written(tmp_path)
    assert "1 line was left out of metrics.jsonl" in shown.text
    assert "The numbers, 2 iterations" in shown.text


def test_a_run_interrupted_after_its_last_pictures_calls_none_of_them_final(tmp_path: Path):
    made_up.write_config(tmp_path, iterations=40)
    made_up.write_metrics(tmp_path, [{"iteration": 40, "reward/mean": 1.0}])
    for iteration in (0, 30):
        made_up.write_samples(tmp_path, iteration, [made_up.sample()])
    assert "iteration 30, latest" in _written(tmp_path).texts["th"]


def test_text_that_no_encoding_can_hold_does_not_stop_the_page(tmp_path: Path):
    made_up.write_samples(tmp_path, 0, [made_up.sample("lone \ud800 surrogate $name")])
    assert "lone ? surrogate $name" in _written(tmp_path).texts["bdi"]


@pytest.mark.parametrize("kind", ["absent", "empty", "project"])
def test_a_folder_that_is_not_a_run_is_refused_in_one_line(tmp_path: Path, kind: str):
    folder = tmp_path / kind
    if kind != "absent":
        folder.mkdir()
    if kind == "project":  # A `samples` folder alone does not make a run.
        (folder / "samples" / "gallery").mkdir(parents=True)
        (folder / "samples" / "gallery" / "index.json").write_text("{}")
    with pytest.raises(ValueError, match=r"runs/<name>\.$") as caught:
        write_gallery(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (folder / "gallery").exists()


def test_the_page_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    target = write_gallery(tmp_path)
    before = target.read_bytes()
    made_up.write_samples(tmp_path, 1, [made_up.sample()])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_gallery(tmp_path)
    assert target.read_bytes() == before
    assert not list(target.parent.rglob(".*"))


def test_the_same_run_gives_the_same_page(tmp_path: Path):
    made_up.write_whole_run(tmp_path, iterations=10)
    assert write_gallery(tmp_path).read_bytes() == write_gallery(tmp_path).read_bytes()


def test_a_gallery_needs_no_tensor_library():
    code = "import sys, ddpo.gallery.writing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
