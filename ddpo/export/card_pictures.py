"""The pictures of a model card: the reward's curve, and samples before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ddpo.export.markdown import literal, table
from ddpo.gallery.chart import HEIGHT, WIDTH, Series, Tone, line_chart
from ddpo.gallery.pictures import PictureFile
from ddpo.gallery.run_folder import RunFolder, Sample

PICTURES = "card"
MOST_PAIRS = 4
LARGEST_SIDE = 512
STYLE = """
svg { background: #fff; font-family: system-ui, sans-serif; }
text { fill: #65635e; font-size: 11px; }
.axis-name { fill: #1d1d1b; }
.rule { stroke: #e6e4df; }
.axis { stroke: #b9b6af; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.reward, .mark.reward { stroke: #1f5f9e; }
.line.watch, .mark.watch { stroke: #a2520b; }
.reward.dot, .reward.band, .reward.end { fill: #1f5f9e; }
.watch.dot, .watch.band, .watch.end { fill: #a2520b; }
.band { fill-opacity: 0.13; }
.mark { fill: #fff; stroke-width: 1.5; }
.end { font-weight: 600; }
.readout { display: none; }
"""

Metrics = Sequence[Mapping[str, int | float]]


def curves(metrics: Metrics) -> dict[str, str]:
    """SVG documents by what they show: the total reward, or each where there is no total, and each
    watch reward.
    """
    names = dict.fromkeys(key for row in metrics for key in row)
    rewards = [key for key in names if key.startswith("reward/") and key != "reward/std"]
    shown = ["reward/mean"] if "reward/mean" in rewards else rewards
    shown += [key for key in names if key.startswith("watch/")]
    drawn = {key: _curve(metrics, key) for key in shown}
    return {key.removeprefix("reward/").removeprefix("watch/"): svg for key, svg in drawn.items()}


def pairs(run: RunFolder) -> list[tuple[Sample, Sample]]:
    """Samples of the base and of the last evaluation, from the same prompts and noise."""
    if len(run.sample_sets) < 2 or run.sample_sets[0].iteration != 0:
        return []
    base, last = run.sample_sets[0].samples, run.sample_sets[-1].samples
    both = zip(base, last, strict=False)
    drawn = [
        (b, a) for b, a in both if b.prompt == a.prompt and b.content.usable and a.content.usable
    ]
    first_of_prompt = {before.prompt: (before, after) for before, after in reversed(drawn)}
    in_order = dict.fromkeys(before.prompt for before, _ in drawn)
    return [first_of_prompt[prompt] for prompt in in_order][:MOST_PAIRS]


def before_and_after(pairs: Sequence[tuple[Sample, Sample]], target: Path) -> str:
    """A table of prompts and what became of them, whose pictures are written to `target`."""
    rows = []
    for number, (before, after) in enumerate(pairs):
        cells = [literal(before.prompt)]
        for when, sample in (("before", before), ("after", after)):
            file = f"{PICTURES}/{when}-{number}.png"
            assert isinstance(sample.content, PictureFile)
            assert sample.content.path is not None
            write_picture(sample.content.path, target / file)
            cells.append(f"![{when}]({file})")
        rows.append(tuple(cells))
    return table(("prompt", "before", "after"), rows)


def write_picture(source: Path, target: Path) -> None:
    """Copy a picture, made smaller where it is large."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        small.save(target)


def _curve(metrics: Metrics, key: str) -> str:
    kind, _, name = key.partition("/")
    tone: Tone = "watch" if kind == "watch" else "reward"
    title = "reward" if key == "reward/mean" else name
    held_out = "evaluation/reward" if key == "reward/mean" else f"evaluation/{name}"
    series = [
        Series("evaluation", _points(metrics, held_out), tone, marks=True),
        Series("mean", _points(metrics, key), tone),
    ]
    drawing = line_chart("chart", title, series)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * 2}" height="{HEIGHT * 2}" '
    head, rest = drawing.split(">", 1)
    return f"{head.replace('<svg ', opening)}><style>{STYLE}</style>{rest}\n"


def _points(metrics: Metrics, key: str) -> tuple[tuple[int | float, int | float], ...]:
    return tuple((row["iteration"], row[key]) for row in metrics if key in row)
