"""What a run left on disk, read with tolerance: any part may be missing or cut short."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ddpo.errors import UserError
from ddpo.gallery.kinds import Content, Kind, planned_kind
from ddpo.gallery.pictures import PictureFile
from ddpo.gallery.programs import results_of
from ddpo.gallery.texts import Completion, reference_of
from ddpo.starts import read_starts
from rewards import RewardError
from rewards.files import INDEX, read_index

ITERATION_FOLDER = re.compile(r"\d{6}|[1-9]\d{6,}", re.ASCII)


class NotARunError(UserError, ValueError):
    """A folder that no run has written to."""


@dataclass(frozen=True)
class Sample:
    """One sample with its prompt, what that is compared with, and its numbers; None stands for
    "could not be scored".
    """

    prompt: str
    content: Content
    reference: str | None
    total: float | None
    rewards: Mapping[str, float | None]
    watch: Mapping[str, float | None]


@dataclass(frozen=True)
class SampleSet:
    """The samples of one iteration; iteration 0 is the base model."""

    iteration: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class RunFolder:
    """Everything that a page can show of a run.

    `metrics` and `sample_sets` are in order of iteration. `kind` is that of its samples, also where
    there are none yet. `starts` is what it was started with, each time. `problems` says in plain
    English what was missing or unreadable.
    """

    path: Path
    config: Mapping[str, Any]
    config_text: str
    metrics: tuple[Mapping[str, float], ...]
    sample_sets: tuple[SampleSet, ...]
    kind: Kind
    starts: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in the configuration, else that of the folder."""
        return str(self.config.get("name") or self.path.name)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of the configuration, empty where it is absent or not a mapping."""
        value = self.config.get(name)
        return value if isinstance(value, Mapping) else {}

    @property
    def planned_iterations(self) -> int | None:
        """How many iterations the configuration asks for, if it can be told."""
        planned = str(self.section("train").get("iterations", ""))
        return int(planned) if planned.isdecimal() else None

    @property
    def last_iteration(self) -> int:
        """The last iteration that left a trace; 0 before the first one ended."""
        measured = [int(row["iteration"]) for row in self.metrics[-1:]]
        sampled = [group.iteration for group in self.sample_sets[-1:]]
        return max(measured + sampled, default=0)

    @property
    def finished(self) -> bool:
        """Whether all iterations that the configuration asks for are done."""
        return self.stage(self.last_iteration) == "final"

    def stage(self, iteration: int) -> str:
        """Call the newest iteration "final" if the configuration asks for no more."""
        planned = self.planned_iterations
        return "final" if planned is not None and iteration >= planned else "latest"


def read_run(path: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        NotARunError: `path` is not a folder, or holds no configuration, metrics or samples.
    """
    path = Path(path).resolve()
    if not path.is_dir():
        raise NotARunError(f"{path}: there is no such folder. Name a run folder: runs/<name>.")
    traces = (path / "config.yaml", path / "metrics.jsonl")
    if not any(trace.is_file() for trace in traces) and not _iteration_folders(path):
        raise NotARunError(
            f"{path} is not a run folder: it has no config.yaml, no metrics.jsonl and no "
            "samples/<iteration>/. Name the folder that `ddpo train` wrote: runs/<name>."
        )
    problems: list[str] = []
    config_text, config = _read_config(path / "config.yaml", problems)
    metrics = _read_metrics(path / "metrics.jsonl", problems)
    sample_sets = _read_sample_sets(path, problems)
    kind = _kind(config, sample_sets)
    problems += _absences(sample_sets, kind)
    starts, told = read_starts(path), tuple(problems)
    return RunFolder(path, config, config_text, metrics, sample_sets, kind, starts, told)


def _read_config(path: Path, problems: list[str]) -> tuple[str, Mapping[str, Any]]:
    if not path.is_file():
        problems.append("config.yaml is missing, so the settings are not known.")
        return "", {}
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        # The base loader keeps every value as it was written: 1e-4 stays 1e-4, no stays no.
        config = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict):
        problems.append("config.yaml could not be read as settings; it is shown as it is.")
        return text, {}
    return text, config


def _read_metrics(path: Path, problems: list[str]) -> tuple[Mapping[str, float], ...]:
    if not path.is_file():
        problems.append("metrics.jsonl is missing: no iteration has ended yet.")
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows: dict[int, Mapping[str, float]] = {}
    unreadable = 0
    for line in filter(str.strip, lines):
        row = _metrics_row(line)
        if row is None:
            unreadable += 1
        else:
            rows[int(row["iteration"])] = row
    if unreadable:
        verb = "line was" if unreadable == 1 else "lines were"
        problems.append(f"{unreadable} {verb} left out of metrics.jsonl: cut short or damaged.")
    elif not rows:
        problems.append("metrics.jsonl is empty: no iteration has ended yet.")
    return tuple(rows[iteration] for iteration in sorted(rows))


def _metrics_row(line: str) -> Mapping[str, float] | None:
    values = _parse_object(line)
    row = {key: value for key, item in values.items() if (value := _finite(item)) is not None}
    return row if "iteration" in row else None


def _read_sample_sets(path: Path, problems: list[str]) -> tuple[SampleSet, ...]:
    sets = []
    for folder in _iteration_folders(path):
        group = _read_sample_set(folder)
        if group is None:
            problems.append(f"samples/{folder.name} was left out: its {INDEX} is unreadable.")
        else:
            sets.append(group)
    return tuple(sets)


def _kind(config: Mapping[str, Any], sets: Sequence[SampleSet]) -> Kind:
    """That of the samples; where there are none, the one that the configuration asks for."""
    for sample in (sample for group in sets for sample in group.samples):
        return sample.content.kind
    policy = config.get("policy")
    return planned_kind(policy if isinstance(policy, Mapping) else {})


def _absences(sets: Sequence[SampleSet], kind: Kind) -> list[str]:
    if not sets:
        return [f"There are no sample {kind.several} yet."]
    if sets[0].iteration != 0:
        return [f"The base model's {kind.several} (samples/000000) are missing."]
    if len(sets) == 1:
        only = f"Only the base model's {kind.several} are there"
        return [f"{only}: no checkpoint was sampled yet."]
    return []


def _iteration_folders(path: Path) -> list[Path]:
    folders = [index.parent for index in path.glob(f"samples/*/{INDEX}")]
    named = [folder for folder in folders if ITERATION_FOLDER.fullmatch(folder.name)]
    return sorted(named, key=lambda folder: int(folder.name))


def _read_sample_set(folder: Path) -> SampleSet | None:
    try:
        entries = read_index(folder)
    except RewardError:
        return None
    return SampleSet(int(folder.name), tuple(_read_sample(folder, entry) for entry in entries))


def _read_sample(folder: Path, entry: Mapping[str, Any]) -> Sample:
    return Sample(
        prompt=entry["prompt"],
        content=_content(folder, entry),
        reference=reference_of(entry.get("columns", {})),
        total=_finite(entry.get("total")),
        rewards=_numbers(entry.get("rewards")),
        watch=_numbers(entry.get("watch")),
    )


def _content(folder: Path, entry: Mapping[str, Any]) -> Content:
    if "text" in entry:
        return Completion(entry["text"], results_of(entry.get("details")))
    return PictureFile.named(folder, entry["file"])


def _numbers(values: object) -> Mapping[str, float | None]:
    if not isinstance(values, dict):
        return {}
    return {str(name): _finite(value) for name, value in values.items()}


def _finite(value: object) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
