"""The page of several runs as a file: its table, charts, rows and settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from ddpo.gallery import write_comparison
from ddpo.gallery.comparison.differences import MOST_SETTINGS, differing
from ddpo.gallery.comparison.rows import aligned
from ddpo.gallery.run_folder import read_run
from tests.gallery import made_up
from tests.gallery.test_page import HOSTILE, Page

BOMB = "a0: &a0 {k: v}\n" + "\n".join(
    f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}, z: *a{i - 1}}}" for i in range(1, 40)
)


def written(*runs: Path) -> Page:
    """The page of these runs."""
    return Page(write_comparison(runs, runs[0].parent / "out").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """That of two runs, of which each optimises what the other one watches."""
    runs = tmp_path_factory.mktemp("runs")
    return written(made_up.write_whole_run(runs / "a"), made_up.write_other_run(runs / "b"))


def run_of(folder: Path, prompts: list[str], seed: int = 0, colour: str = "red") -> Path:
    """A run that has only a base and one iteration, of plain pictures."""
    made_up.write_config(folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", f"seed: {seed}"))
    for iteration in (0, 5):
        pictures = [Image.new("RGB", (8, 8), colour) for _ in prompts]
        entries = [made_up.sample(prompt) for prompt in prompts]
        made_up.write_samples(folder, iteration, entries, pictures)
    return folder


def test_the_table_says_what_each_run_was_for_and_what_came_of_it(page: Page) -> None:
    names = [text for text in page.texts["th"] if "runs" in text or "/a" in text or "/b" in text]
    assert names[0].startswith("1 · shapes-compressibility")
    assert names[0].endswith("/a")
    assert names[1].startswith("2 · shapes-truth")
    cells = page.texts["td"]
    assert cells[0] == "shapes with DDPO towards jpeg_compressibility"
    assert re.fullmatch(r"jpeg_compressibility −1\.\d+ → −0\.\d+", cells[1])
    assert re.fullmatch(r"shapes_accuracy 1\.000 → 0\.\d+", cells[2])
    assert re.fullmatch(r"0\.\d+ → 0\.\d+", cells[3])
    assert cells[4:7] == ["All 40 iterations done.", "5,120", "307,200"]
    assert cells[8] == "shapes with DDPO towards shapes_accuracy"
    assert cells[9].startswith("shapes_accuracy −1")
    warnings = [text for text in page.texts["li"] if "may be being gamed" in text]
    assert warnings[0].startswith("1 · shapes-compressibility: shapes_accuracy fell from 1.000")
    assert warnings[1].startswith("2 · shapes-truth: jpeg_compressibility fell from 1.000")


def test_a_quantity_has_one_chart_though_it_is_one_run_s_reward_and_watched_by_the_other(
    page: Page,
) -> None:
    assert page.texts["title"][1:] == [
        "jpeg_compressibility by iteration",
        "shapes_accuracy by iteration",
    ]
    lines = [a["class"] for a in page.attributes("polyline")]
    assert lines == ["line run-1", "line run-2"] * 2
    legends = [text for text in page.texts["li"] if "optimised" in text or "only watched" in text]
    assert [text for text in legends if "fell" not in text] == [
        "1 · shapes-compressibility, optimised",
        "2 · shapes-truth, only watched",
        "1 · shapes-compressibility, only watched",
        "2 · shapes-truth, optimised",
    ]
    assert "jpeg_compressibility, run 2" in page.texts["th"]


def test_totals_of_different_rewards_stand_in_no_chart(tmp_path: Path) -> None:
    parts = {"reward/x": 1.0, "reward/y": 2.0}
    runs = []
    for name, weight in (("a", 1), ("b", 1), ("c", 2)):
        made_up.write_metrics(tmp_path / name, [{"iteration": 1, "reward/mean": 3.0, **parts}])
        (tmp_path / name / "config.yaml").write_text(f"rewards: {{x: 1, y: {weight}}}")
        runs.append(tmp_path / name)
    alike, other = written(*runs[:2]), written(*runs)
    assert alike.texts["title"][1:] == [
        f"{name} by iteration" for name in ("total reward", "x", "y")
    ]
    assert other.texts["title"][1:] == ["x by iteration", "y by iteration"]
    assert "stand in no chart together" in other.text
    assert "stand in no chart together" not in alike.text


def test_the_base_stands_once_where_all_runs_share_it(page: Page, tmp_path: Path) -> None:
    heads = page.texts["th"]
    at = heads.index("prompt")
    assert heads[at + 1 : at + 4] == [
        "base",
        "1 · shapes-compressibility, iteration 40, final",
        "2 · shapes-truth, iteration 30, final",
    ]
    assert page.attributes("img")[2]["src"] == "thumbs/2/000030/0000.webp"
    prompts = ["a cat"]
    runs = [run_of(tmp_path / "a", prompts), run_of(tmp_path / "b", prompts, 1, "blue")]
    other = written(*runs)
    at = other.texts["th"].index("prompt")
    title = "shapes-compressibility"
    assert other.texts["th"][at + 1 : at + 5] == [
        f"1 · {title}, base",
        f"1 · {title}, iteration 5, latest",
        f"2 · {title}, base",
        f"2 · {title}, iteration 5, latest",
    ]
    assert "The seeds are 0, 1: samples of a row begin from different noise." in other.text


def test_samples_are_aligned_by_prompt_and_count(tmp_path: Path) -> None:
    one = run_of(tmp_path / "a", ["owl", "dog", "cat", "cat"])
    other = run_of(tmp_path / "b", ["cat", "dog", "cat", "cat"])
    rows = aligned([read_run(one), read_run(other)])
    assert [(row.prompt, row.numbers) for row in rows] == [
        ("dog", (1, 1)),
        ("cat", (2, 0)),
        ("cat", (3, 2)),
        ("owl", (0, None)),
        ("cat", (None, 3)),
    ]
    page = written(one, other)
    assert "The prompts differ: 3 of 5 rows are in all runs." in page.text
    assert "begin from different noise" not in page.text
    assert page.texts["td"].count("not there") == 2


def test_settings_that_differ_by_hand() -> None:
    one = {"seed": "0", "train": {"rate": "1", "steps": "2"}, "watch": ["x", "y"], "lora": {}}
    other = {"seed": "0", "train": {"rate": "3", "steps": "2"}, "watch": ["x"], "eval": {"n": "4"}}
    assert differing([one, other, one]) == {
        "train.rate": ("1", "3", "1"),
        "watch": ("[x, y]", "[x]", "[x, y]"),
        "lora": ("{}", None, "{}"),
        "eval.n": (None, "4", None),
    }
    assert differing([one, dict(one)]) == {}
    nested = {"stages": [{"rate": "1"}, {"rate": "2"}]}
    assert differing([nested, {}]) == {"stages.0.rate": ("1", None), "stages.1.rate": ("2", None)}


@pytest.mark.parametrize(
    "text",
    [BOMB, "\n".join(f"k{i}: {i}" for i in range(5000))],
    ids=["named again and again", "many"],
)
def test_settings_without_end_are_cut(text: str) -> None:
    config: Any = yaml.load(text, Loader=yaml.BaseLoader)
    assert len(differing([config, {}])) == MOST_SETTINGS


def test_settings_are_shown_as_far_as_they_differ(page: Page, tmp_path: Path) -> None:
    keys = [text for text in page.texts["th"] if "." in text]
    assert keys == [
        "rewards.jpeg_compressibility.weight",
        "train.iterations",
        "rewards.shapes_accuracy.weight",
    ]
    assert page.texts["td"][-2:] == ["not set", "1.0"]
    assert "1 · shapes-compressibility: config.yaml, all settings" in page.texts["summary"]
    assert len([text for text in page.texts["code"] if text.startswith("ddpo train")]) == 2
    assert re.search(r"ddpo gallery \S+/a \S+/b --out DIR", page.text)
    same = written(run_of(tmp_path / "a", ["cat"]), run_of(tmp_path / "b", ["cat"]))
    assert "No setting differs." in same.text


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / name, [HOSTILE]) for name in ("a", "b")]
    for run in runs:
        made_up.write_config(run, name=f"{HOSTILE}{run.name}")
        rows = [{"iteration": i, f"watch/{HOSTILE}": i, "reward/mean": i} for i in (1, 2)]
        made_up.write_metrics(run, rows)
        with open(run / "config.yaml", "a") as file:
            file.write(f"'{HOSTILE.replace(chr(39), '')}': {run.name}\n")
    shown = written(*runs)
    assert shown.attributes("script") == [{"src": "gallery.js"}]
    assert len(shown.attributes("img")) == 3
    assert all(not name.startswith("on") for _, found in shown.elements for name in found)
    for _, attributes in shown.elements:
        assert "style" not in attributes
        assert not re.match(r"(\w+:)?//|https?:", attributes.get("href") or "")


def test_runs_that_have_nothing_yet_are_shown_with_what_is_missing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made_up.write_config(tmp_path / name)
    page = written(tmp_path / "a", tmp_path / "b")
    assert "1 · shapes-compressibility: There are no sample pictures yet." in page.text
    assert "No iteration has ended yet." in page.text
    assert "No sample pictures yet." in page.text
    assert page.texts["td"][1:3] == ["none", "none"]
    assert page.texts["td"][-1] == "not known"
