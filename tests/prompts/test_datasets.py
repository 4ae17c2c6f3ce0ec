"""Parquet files and datasets, and what is said where their packages are not installed."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts import load_prompts
from tests.prompts.files import refusal

ROWS = [
    {"text": "a cat", "reference": ["x", "y"], "of": {"a": 1}, "blob": b"\x00"},
    {"text": "a dog", "reference": [], "of": {"a": None}, "blob": b"\x01"},
    {"text": "an owl", "reference": ["z"], "of": {"a": 2}, "blob": b""},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ("reference", "of", "blob")}


def refused(**section: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_prompts(PromptsConfig(**section))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """The rows in a Parquet file."""
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(ROWS), path)
    return path


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Path]:
    """The rows in folders that `save_to_disk` wrote: without splits, and with two."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_list(ROWS)
    both = datasets.DatasetDict(train=rows, test=rows.select([2, 0]))
    folders = {"one": tmp_path / "one", "both": tmp_path / "both"}
    rows.save_to_disk(folders["one"])
    both.save_to_disk(folders["both"])
    return folders


def test_a_parquet_file_keeps_lists_and_structs(parquet: Path) -> None:
    prompts = load_prompts(PromptsConfig(file=parquet, column="text"))
    assert (prompts.texts, prompts.columns) == (["a cat", "a dog", "an owl"], COLUMNS)
    few = load_prompts(PromptsConfig(file=parquet, template="see {text}", limit=1))
    assert (few.texts, few.columns["of"]) == (["see a cat"], [{"a": 1}])
    assert "row 1: the prompt 'of' is {'a': 1}, and must" in refused(file=parquet, column="of")


def test_a_parquet_file_that_cannot_be_used(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    message = refusal(tmp_path, "x.parquet", b"nonsense")
    assert message.startswith("prompts.file: x.parquet cannot be read: Parquet ")
    message = refused(file=tmp_path / "absent.parquet")
    assert message.endswith("absent.parquet cannot be read: No such file or directory")
    twice = arrow.Table.from_arrays([arrow.array(["a"])] * 2, names=["prompt", "prompt"])
    pytest.importorskip("pyarrow.parquet").write_table(twice, tmp_path / "twice.parquet")
    message = refused(file=tmp_path / "twice.parquet")
    assert message.endswith("twice.parquet has two columns 'prompt'; rename one of them")


@pytest.mark.parametrize(
    ("folder", "split", "limit", "texts"),
    [
        ("one", None, None, ["a cat", "a dog", "an owl"]),
        ("both", None, 2, ["a cat", "a dog"]),
        ("both", "train", 9, ["a cat", "a dog", "an owl"]),
        ("both", "test", None, ["an owl", "a cat"]),
    ],
)
def test_a_saved_dataset(
    saved: dict[str, Path], folder: str, split: str | None, limit: int | None, texts: list[str]
) -> None:
    section = PromptsConfig(dataset=str(saved[folder]), split=split, column="text", limit=limit)
    prompts = load_prompts(section)
    assert prompts.texts == texts
    of = {row["text"]: row for row in ROWS}
    assert prompts.columns == {key: [of[text][key] for text in texts] for key in COLUMNS}


def test_a_dataset_that_cannot_be_used(saved: dict[str, Path], tmp_path: Path) -> None:
    one, both = str(saved["one"]), str(saved["both"])
    message = refused(dataset=both, split="tets", column="text")
    assert message == f"prompts.split: {both} has no split 'tets'; its splits: train, test"
    message = refused(dataset=one, split="test", column="text")
    assert message.startswith(f"prompts.split: {one} is one table without splits, and not 'test'")
    assert "prompts.config: " in refused(dataset=one, config="main")
    message = refused(dataset=str(tmp_path / "no" / "where"))
    assert message.startswith("prompts.dataset: there is no folder '")
    (tmp_path / "empty").mkdir()
    message = refused(dataset=str(tmp_path / "empty"))
    assert "empty cannot be read as what datasets' save_to_disk writes: " in message
    message = refused(dataset="nobody/nothing-here")
    assert message.startswith("prompts.dataset: nobody/nothing-here is no folder, and could not")


@pytest.mark.parametrize(("split", "asked"), [(None, "train"), ("test", "test")])
def test_a_dataset_on_the_hub_is_asked_for_by_its_parts(
    split: str | None, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test has the hub: a library that has it is told what to load."""
    datasets = pytest.importorskip("datasets")
    signature = inspect.signature(datasets.load_dataset)

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options).arguments
        assert given == {"path": "owner/data", "name": "3.0.0", "split": asked}
        return datasets.Dataset.from_list(ROWS).select([2, 0, 1])  # by indices into the table

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    section = {"dataset": "owner/data", "config": "3.0.0", "split": split, "template": "A {text}"}
    prompts = load_prompts(PromptsConfig(**section, limit=2))
    assert prompts.texts == ["A an owl", "A a cat"]
    assert prompts.columns == {name: [ROWS[2][name], ROWS[0][name]] for name in ROWS[0]}


@pytest.mark.parametrize(
    ("section", "package"),
    [({"file": "x.parquet"}, "pyarrow"), ({"dataset": "nobody/nothing-here"}, "datasets")],
)
def test_a_package_that_is_not_installed_is_named(
    section: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    message = refused(**section)
    assert package in message
    assert "is not installed: pip install 'ddpo[data]'" in message
