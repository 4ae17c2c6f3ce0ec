"""The page of a run of texts: what it shows of completions, and what they cannot do to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddpo.gallery import write_gallery
from ddpo.gallery.passage import LONG, MOST_LINES
from ddpo.gallery.run_folder import read_run
from ddpo.gallery.texts import reference_of
from tests.gallery import made_up
from tests.gallery.test_page import HOSTILE, Page

LONG_HOSTILE = HOSTILE + "<b onclick=x>\u202e" * 100_000


def _written(run: Path) -> Page:
    return Page(write_gallery(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return _written(made_up.write_text_run(tmp_path_factory.mktemp("runs") / "whole"))


def test_completions_stand_by_prompt_and_iteration(whole: Page):
    headings = ["base", "iteration 10", "iteration 20", "iteration 30", "iteration 40, final"]
    assert whole.texts["th"][-len(made_up.TEXTS) - 5 : -len(made_up.TEXTS)] == headings
    cells = [attributes["data-label"] for attributes in whole.attributes("td")[-25:]]
    assert cells == headings * len(made_up.TEXTS)
    for row, (_, _, before, after) in enumerate(made_up.TEXTS):
        first, last = (whole.texts["td"][row * 5 + at - 25] for at in (0, 4))
        assert (before or "(empty)") in first
        assert after in last
    assert "reward0.210repetition0.000" in whole.texts["td"][-25]


def test_the_word_picture_is_nowhere_on_it(whole: Page):
    assert "picture" not in whole.source.lower()
    assert "image" not in whole.text.lower()
    assert "sd of base completions" in whole.text
    assert "Means over 5 completions made from the same prompts and seeds" in whole.text
    (skip,) = [a["href"] for a in whole.attributes("a")]
    assert skip == "#completions"
    assert "completions" in [attributes.get("id") for attributes in whole.attributes("h2")]


@pytest.mark.parametrize("iterations", [[], [0], [5]])
def test_nor_in_what_is_missing(iterations: list[int], tmp_path: Path):
    (tmp_path / "config.yaml").write_text("policy: {kind: text}")
    for iteration in iterations:
        made_up.write_samples(tmp_path, iteration, [made_up.text_sample("a cat")])
    run = read_run(tmp_path)
    said = {
        (): "There are no sample completions yet.",
        (0,): "Only the base model's completions are there: no checkpoint was sampled yet.",
        (5,): "The base model's completions (samples/000000) are missing.",
    }
    assert said[tuple(iterations)] in run.problems
    assert "picture" not in _written(tmp_path).text


def test_a_fall_within_chance_is_one_of_completions(tmp_path: Path):
    for iteration, total, watched in ((0, 1.0, (0.5, 0.9)), (5, 2.0, (0.7, 0.6))):
        entries = [made_up.text_sample("t", f"{w}", total, watch={"w": w}) for w in watched]
        for number, entry in enumerate(entries):
            entry["prompt"] = f"prompt {number}"
        made_up.write_samples(tmp_path, iteration, entries)
    assert "which is within chance for 2 completions." in _written(tmp_path).text


def test_samples_say_what_a_run_is_before_its_configuration_does(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("policy: {kind: text}")
    made_up.write_samples(tmp_path, 0, [made_up.sample()])
    assert "Only the base model's pictures are there" in _written(tmp_path).text


@pytest.mark.parametrize("text", [HOSTILE, LONG_HOSTILE], ids=["short", "long"])
def test_hostile_completions_and_references_are_shown_and_do_nothing(text: str, tmp_path: Path):
    entry = made_up.text_sample(text, text, columns={"references": [text, "other"]})
    made_up.write_samples(tmp_path, 0, [entry])
    shown = _written(tmp_path)
    assert shown.texts["bdi"].count(text) == 3  # the prompt, its reference, the completion
    assert shown.attributes("script") == [{"src": "gallery.js"}]
    assert not shown.attributes("img")
    assert not shown.attributes("b")
    assert all(not name.startswith("on") for _, found in shown.elements for name in found)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("x" * LONG, False),
        ("x" * (LONG + 1), True),
        ("x\n" * (MOST_LINES - 1) + "x", False),
        ("x\n" * MOST_LINES + "x", True),
    ],
)
def test_long_completions_are_folded_behind_their_beginning(
    text: str, folded: bool, tmp_path: Path
):
    made_up.write_samples(tmp_path, 0, [made_up.text_sample(text)])
    cell = _written(tmp_path)
    assert len(cell.attributes("summary")) == folded
    assert text in cell.texts["bdi"]
    if folded:
        start = cell.texts["summary"][0]
        assert start.endswith("…")
        assert text.startswith(start.removesuffix("…").removesuffix("\n"))
        assert start.count("\n") <= MOST_LINES


def test_several_lines_are_of_equal_width(tmp_path: Path):
    texts = ["one\n", "a\nb", " \n", ""]
    made_up.write_samples(tmp_path, 0, [made_up.text_sample(text) for text in texts])
    shown = _written(tmp_path)
    classes = [a["class"] for a in shown.attributes("bdi") if "class" in a]
    assert classes == ["completion", "completion lines"]
    assert "(white space alone)" in shown.texts["td"][2]
    assert "(empty)" in shown.texts["td"][3]


@pytest.mark.parametrize(
    ("columns", "reference"),
    [
        ({"reference": "r", "references": ["s"]}, "r"),
        ({"references": ["s", "t"]}, "s"),
        ({"reference": ["s", "t"]}, "s"),
        ({"reference": None, "references": ["s"]}, "s"),
        ({"reference": {"é": 1}}, '{"é": 1}'),
        ({"reference": ""}, ""),
        ({"references": []}, None),
        ({"article": "a"}, None),
    ],
)
def test_the_reference_of_a_prompt(columns: dict[str, Any], reference: str | None, tmp_path: Path):
    assert reference_of(columns) == reference
    made_up.write_samples(tmp_path, 0, [made_up.text_sample("t", columns=columns)])
    said = "" if reference is None else f"reference: {reference}"
    assert _written(tmp_path).texts["th"][-1] == f"Summarise: a cat sat.{said}"


def test_an_index_of_both_is_drawn_each_as_it_is(tmp_path: Path):
    folder = made_up.write_samples(tmp_path, 0, [made_up.text_sample("a cat"), made_up.sample()])
    shown = _written(tmp_path)
    assert len(shown.attributes("img")) == 1
    assert "a cat" in shown.texts["bdi"]
    (folder / "index.json").write_text(json.dumps({"samples": [{"prompt": "p", "text": 3}]}))
    assert "samples/000000 was left out: its index.json is unreadable." in _written(tmp_path).text


def test_greedy_completions_have_one_chart_of_their_own(tmp_path: Path):
    run = made_up.write_text_run(tmp_path / "run", iterations=10)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    last |= {f"evaluation/greedy/{name}": 0.875 for name in ("reward", "rouge", "repetition")}
    (run / "metrics.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]))
    page = _written(run)
    without = _written(made_up.write_text_run(tmp_path / "without", iterations=10))
    assert page.source.count("<figure") == without.source.count("<figure") + 1
    assert "reward of greedy samples" in page.source
    assert "evaluation/greedy/repetition" in page.texts["th"]  # in the numbers
