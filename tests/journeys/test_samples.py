"""The galleries in `samples/` are what the package writes today: one is made again in short form,
and all are compared with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ddpo.__main__ import main
from ddpo.config.reading import load_config
from tests.gallery.test_page import Page

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
GALLERIES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
COMMAND = re.compile(r"`ddpo train (configs/\S+\.yaml)([^`]*)`")
REGISTERED = re.compile(r'ddpoData\("\w+",(.*)\);\n', re.DOTALL)
PARTS = {"section", "h1", "h2", "main", "header", "footer", "script", "link", "dl", "ul"}
MOST = 3_000_000
"""Bytes of a gallery."""
SHORT = (
    *("train.iterations=2", "train.samples_per_iteration=8", "checkpoint.every=2"),
    *("evaluation.every=1", "evaluation.samples=2"),
)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of a run of two iterations of what the demo trains."""
    folder = tmp_path_factory.mktemp("short")
    config = ROOT / "configs" / "ddpo_shapes_compressibility.yaml"
    main(["train", str(config), *SHORT, f"output_dir={folder}"])
    return folder / "shapes-compressibility" / "gallery"


@pytest.fixture(params=GALLERIES)
def sample(request: pytest.FixtureRequest) -> Path:
    return SAMPLES / request.param


def _files(gallery: Path) -> set[str]:
    """Their names, with N for each number; a committed gallery has a README beside them."""
    found = (path.relative_to(gallery) for path in gallery.rglob("*") if path.is_file())
    return {re.sub(r"\d+", "N", path.as_posix()) for path in found} - {"README.md"}


def _data(gallery: Path, name: str) -> dict[str, Any]:
    found = REGISTERED.fullmatch((gallery / "data" / f"{name}.js").read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def _parts(gallery: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """The sections of a page and what stands in each, without what a run has more or less of."""
    page = Page((gallery / "index.html").read_text(encoding="utf-8"))
    for tag, attributes in page.elements:
        # Notices are there where something is to be noticed.
        if tag in PARTS and attributes.get("class") != "notices":
            yield tag, attributes.get("id"), attributes.get("class")
    yield from (("policy", each.get("content"), None) for each in page.attributes("meta"))


def test_there_is_a_run_that_learned_one_that_hacked_and_one_that_collapsed():
    assert {"shapes-alignment", "shapes-aesthetic", "shapes-compressibility"} <= {*GALLERIES}


def test_its_files_are_those_that_are_written_today(sample: Path, short: Path):
    assert _files(sample) == _files(short)
    for name in ("gallery.css", "gallery.js"):
        assert (sample / name).read_bytes() == (short / name).read_bytes()


def test_its_page_has_the_parts_of_one_that_is_written_today(sample: Path, short: Path):
    ours, today = ([*dict.fromkeys(_parts(gallery))] for gallery in (sample, short))
    assert ours == today


def test_its_data_say_what_those_of_today_say(sample: Path, short: Path):
    newest = [
        f"{_data(each, 'summary')['iterations'][-1]['iteration']:06d}" for each in (sample, short)
    ]
    assert _data(sample, "summary").keys() == _data(short, "summary").keys()
    assert _data(sample, newest[0]).keys() == _data(short, newest[1]).keys()


def test_it_is_small_and_whole(sample: Path):
    assert sum(path.stat().st_size for path in sample.rglob("*") if path.is_file()) <= MOST
    for each in _data(sample, "summary")["iterations"]:
        name = f"{each['iteration']:06d}"
        data = _data(sample, name)
        assert data["absent"] == []
        for folder, suffix in (("thumbs", "webp"), ("pictures", "png")):
            wanted = [f"{number:04d}.{suffix}" for number in range(len(data["prompt"]))]
            assert sorted(path.name for path in (sample / folder / name).iterdir()) == wanted


def test_the_command_that_made_it_is_one_that_can_be_given(sample: Path):
    (row,) = [
        line
        for line in (SAMPLES / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| [{sample.name}]")
    ]
    found = COMMAND.search(row)
    assert found is not None
    load = partial(load_config, ROOT / found[1], found[2].split())
    assert load().name == sample.name
