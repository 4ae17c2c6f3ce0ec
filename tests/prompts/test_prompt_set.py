"""Which prompts there are, and which of them an iteration draws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts import PromptSet, load_prompts, named_sets, set_names
from ddpo.worlds.shapes import parse


def prompt_set(size: int) -> PromptSet:
    return PromptSet([f"prompt {i}" for i in range(size)])


@pytest.mark.parametrize("size", [1, 5, 12])
def test_each_prompt_is_drawn_once_before_any_again(size: int) -> None:
    drawn = prompt_set(size).draw(4 * size, position=0, seed=3)
    rounds = [drawn[start : start + size] for start in range(0, 4 * size, size)]
    assert [sorted(part) for part in rounds] == [list(range(size))] * 4


def test_every_round_has_its_own_order() -> None:
    drawn = prompt_set(12).draw(36, position=0, seed=3)
    assert len({tuple(drawn[start : start + 12]) for start in (0, 12, 24)}) == 3
    assert drawn[:12] != list(range(12))


@pytest.mark.parametrize("cuts", [[1] * 23, [5] * 4 + [3], [10, 13], [20, 0, 3], [4, 19]])
def test_draws_do_not_depend_on_how_they_are_cut(cuts: list[int]) -> None:
    five, position, drawn = prompt_set(5), 0, []
    for count in cuts:
        drawn += five.draw(count, position=position, seed=0)
        position += count
    assert drawn == five.draw(23, position=0, seed=0)


def test_the_order_depends_on_the_seed_and_nothing_else() -> None:
    one = prompt_set(12).draw(24, position=5, seed=0)
    assert one == prompt_set(12).draw(24, position=5, seed=0)
    assert one != prompt_set(12).draw(24, position=5, seed=1)
    assert prompt_set(12).draw(3, position=0, seed=2**63 - 1)


def test_rows_bring_their_columns() -> None:
    three = PromptSet(["a", "b", "c"], {"size": [1, 2, 3], "tests": [[], ["x"], ["y", "z"]]})
    texts, columns = three.rows([2, 0, 2])
    assert texts == ["c", "a", "c"]
    assert columns == {"size": [3, 1, 3], "tests": [["y", "z"], [], ["y", "z"]]}


def test_a_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    text = "\n# a comment\n a red fox \n\n  # another\r\nan owl\r\n\t\nein Kätzchen # not a comment"
    path.write_bytes(text.encode())
    loaded = load_prompts(PromptsConfig(file=path))
    assert loaded.texts == ["a red fox", "an owl", "ein Kätzchen # not a comment"]
    assert loaded.columns == {}


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("a cat\na dog\n", encoding="utf-8-sig")
    assert load_prompts(PromptsConfig(file=path)).texts == ["a cat", "a dog"]


def test_a_file_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("ein Kätzchen", encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from ddpo.config.schema import PromptsConfig; "
        "from ddpo.prompts import load_prompts; "
        "print(ascii(load_prompts(PromptsConfig(file=Path(sys.argv[1]))).texts))"
    )
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, **plain},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == ascii(["ein Kätzchen"]), done.stderr


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "# nothing\n#but comments\n"])
def test_a_file_without_a_prompt_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=r"prompts\.file: .*prompts\.txt holds no prompt; write"):
        load_prompts(PromptsConfig(file=path))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.txt cannot be read: No such file"):
        load_prompts(PromptsConfig(file=tmp_path / "absent.txt"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_prompts(PromptsConfig(file=tmp_path))
    (tmp_path / "latin.txt").write_bytes("ein Kätzchen".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.txt cannot be read: it is not UTF-8 text"):
        load_prompts(PromptsConfig(file=tmp_path / "latin.txt"))


@pytest.mark.parametrize("name", ["animal", "", ".", "..", "../prompt_sets/animals", "animals.txt"])
def test_an_unknown_set_names_the_known(name: str) -> None:
    with pytest.raises(UserError, match="unknown set") as caught:
        load_prompts(PromptsConfig(set=name))
    message = str(caught.value)
    assert message.startswith(f"prompts.set: unknown set {name!r}; known: ")
    assert message.endswith(", ".join(set_names()))


@pytest.fixture
def _few_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_sets, "SHAPES_CAPTIONS", 12)


@pytest.mark.usefixtures("_few_captions")
@pytest.mark.parametrize("name", set_names())
def test_a_named_set_holds_distinct_prompts(name: str) -> None:
    texts = load_prompts(PromptsConfig(set=name)).texts
    assert len(texts) == len(set(texts)) >= 10
    assert all(text.strip() and text.removesuffix("\n") == text.strip() for text in texts)
    assert texts == load_prompts(PromptsConfig(set=name)).texts


@pytest.mark.usefixtures("_few_captions")
@pytest.mark.parametrize("name", ["shapes", "shapes-pairs"])
def test_held_out_shapes_are_not_trained_on(name: str) -> None:
    seen = set(load_prompts(PromptsConfig(set=name)).texts)
    assert seen.isdisjoint(load_prompts(PromptsConfig(set=f"{name}-heldout")).texts)


@pytest.mark.parametrize(("name", "things"), [("shapes", {1, 2}), ("shapes-pairs", {2})])
def test_pairs_have_two_things(name: str, things: set[int]) -> None:
    for half in (name, f"{name}-heldout"):
        texts = load_prompts(PromptsConfig(set=half)).texts
        assert {len(parse(text).things) for text in texts} == things


def test_the_known_sets_are_these() -> None:
    assert set_names() == [
        "animals",
        "programs",
        "programs-heldout",
        "programs-heldout-families",
        "shapes",
        "shapes-heldout",
        "shapes-pairs",
        "shapes-pairs-heldout",
        "summaries",
        "summaries-heldout",
    ]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("template", "{text}", "prompts.template: '{text}': the set 'summaries' has no column"),
        ("column", "refrence", "no column 'refrence'; did you mean 'reference'?"),
    ],
)
def test_a_named_set_without_the_column_is_refused(key: str, value: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        load_prompts(PromptsConfig(set="summaries", **{key: value}))
    assert reason in str(caught.value)
