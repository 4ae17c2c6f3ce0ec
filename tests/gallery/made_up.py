"""A made-up run folder, in the form that `ddpo train` writes."""

from __future__ import annotations

import colorsys
import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

CONFIG = """\
name: {name}
output_dir: runs
seed: 0
policy:
  kind: diffusion
  model: shapes
  sampler: ddim
  num_steps: 20
  eta: 1.0
  guidance_scale: 3.0
lora: {{rank: 16}}
prompts: {{set: shapes}}
rewards: {{jpeg_compressibility: {{weight: 1.0}}}}
watch: [shapes_accuracy]
algorithm: {{kind: ddpo, clip_range: 1.0e-4, advantages: per_prompt, kl_coef: 0.0}}
train:
  iterations: {iterations}
  samples_per_iteration: 128
  updates_per_iteration: 2
  learning_rate: 3.0e-4
"""
PROMPTS = (
    "a red circle left of a blue square on a gray background",
    "a green triangle on a white background",
    "a yellow star above a purple circle on a black background",
    "a large orange square on a gray background",
    "a small blue hexagon left of a red triangle on a white background",
    "a cyan circle above a green square on a beige background",
)


TEXT_CONFIG = """\
name: summaries-rouge
output_dir: runs
seed: 0
policy: {{kind: text, model: summaries, max_new_tokens: 64, temperature: 1.0}}
prompts: {{file: articles.jsonl, template: "Summarise: {{article}}"}}
rewards: {{rouge: 1.0}}
watch: [repetition]
algorithm: {{kind: ppo, clip_range: 0.2, advantages: gae, kl_coef: 0.05}}
train: {{iterations: {iterations}, samples_per_iteration: 128, learning_rate: 1.0e-5}}
"""
_ARTICLE = (
    "Summarise: The city council voted on Tuesday to close the old bridge to cars for two years "
    "while its steel is renewed. Shops on the east bank fear for their trade; a ferry will run "
    "every ten minutes. The mayor said that the work could not wait, after engineers had found "
    "cracks in three of the eleven piers in the spring."
)
_CODE = "def add(a, b):\n    total = a\n    total += b\n    return total\n"
TEXTS: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    (
        _ARTICLE,
        {"reference": "The old bridge closes to cars for two years; a ferry will run instead."},
        "The council said on Tuesday that the mayor and the shops and the ferry were many things.",
        "The old bridge is closed to cars for two years. A ferry will run every ten minutes.",
    ),
    (
        "Translate to German: The cat sat on the mat.",
        {"references": ["Die Katze saß auf der Matte.", "Auf der Matte saß die Katze."]},
        "The cat sat at the Matte.",
        "Die Katze saß auf der Matte.",
    ),
    (
        "Write a function that adds two numbers.\nUse no imports.",
        {"tests": ["assert add(1, 2) == 3"]},
        "import os\n\ndef f(x):\n    print(x)\n",
        _CODE,
    ),
    ("Tell a story.", {}, "", "Once upon a time there was a cat. " * 30),
    ("Translate to Arabic: peace", {"reference": "سلام"}, "peace peace", "سلام"),
)


def write_config(run: Path, name: str = "shapes-compressibility", iterations: int = 40) -> None:
    """Write the resolved configuration."""
    run.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(name=json.dumps(name), iterations=iterations)
    (run / "config.yaml").write_text(text, encoding="utf-8")


def write_metrics(run: Path, rows: list[dict[str, Any]]) -> None:
    """Write one line per iteration."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def sample(
    prompt: str = "a red circle",
    total: float | None = -1.0,
    *,
    rewards: dict[str, float | None] | None = None,
    watch: dict[str, float | None] | None = None,
    file: str = "0000.png",
) -> dict[str, Any]:
    """Return one entry of an index."""
    parts = {"jpeg_compressibility": total} if rewards is None else rewards
    return {"file": file, "prompt": prompt, "rewards": parts, "total": total, "watch": watch or {}}


def write_samples(
    run: Path,
    iteration: int,
    entries: list[dict[str, Any]],
    pictures: list[Image.Image] | None = None,
) -> Path:
    """Write the pictures and the index of one iteration; plain red pictures unless given or unless
    the entries are of texts.
    """
    folder = run / "samples" / f"{iteration:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    for index, entry in enumerate(entries):
        if "text" not in entry:
            picture = pictures[index] if pictures else Image.new("RGB", (64, 64), "red")
            entry["file"] = f"{index:04d}.png"
            picture.save(folder / entry["file"])
    index = {"iteration": iteration, "samples": entries}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def text_sample(
    text: str,
    prompt: str = "Summarise: a cat sat.",
    total: float | None = 0.5,
    *,
    watch: dict[str, float | None] | None = None,
    columns: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one entry of an index of texts."""
    entry = sample(prompt, total, rewards={"rouge": total}, watch=watch)
    del entry["file"]
    more = {"columns": columns, "details": details}
    return {"text": text, **entry, **{name: value for name, value in more.items() if value}}


def write_text_run(run: Path, iterations: int = 40) -> Path:
    """Write a run that learnt to repeat what its reward likes: one prompt of each shape."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(TEXT_CONFIG.format(iterations=iterations), encoding="utf-8")
    rows = [_row(iteration, iterations) for iteration in range(1, iterations + 1)]
    write_metrics(run, [{_renamed(key): value for key, value in row.items()} for row in rows])
    for iteration in range(0, iterations + 1, 10):
        share = iteration / iterations
        write_samples(run, iteration, [_text_entry(i, share) for i in range(len(TEXTS))])
    return run


def _renamed(key: str) -> str:
    return key.replace("jpeg_compressibility", "rouge").replace("shapes_accuracy", "repetition")


def _text_entry(index: int, share: float) -> dict[str, Any]:
    prompt, columns, before, after = TEXTS[index]
    words, others = before.split(" "), after.split(" ")
    text = " ".join(others[: round(share * len(others))] + words[round(share * len(words)) :])
    total = 0.21 + 0.04 * index + 0.3 * share
    return text_sample(text, prompt, total, watch={"repetition": -share * 0.4}, columns=columns)


def write_whole_run(run: Path, iterations: int = 40, side: int = 64) -> Path:
    """Write a run that gamed its reward: pictures grow plainer, and less like their prompts."""
    write_config(run, iterations=iterations)
    write_metrics(run, [_row(iteration, iterations) for iteration in range(1, iterations + 1)])
    for iteration in range(0, iterations + 1, 5):
        share = iteration / iterations
        pictures = [_scene(index, share, side) for index in range(len(PROMPTS))]
        entries = [_entry(index, share) for index in range(len(PROMPTS))]
        write_samples(run, iteration, entries, pictures)
    return run


def write_other_run(run: Path, iterations: int = 30) -> Path:
    """Write a run from the same base that optimised what `write_whole_run` watches, and the other
    way round.
    """
    write_whole_run(run, iterations)
    for file in (run / "config.yaml", run / "metrics.jsonl", *run.glob("samples/*/index.json")):
        text = file.read_text(encoding="utf-8")
        for one, other in (
            ("jpeg_compressibility", "\0"),
            ("shapes_accuracy", "jpeg_compressibility"),
        ):
            text = text.replace(one, other)
        text = text.replace("\0", "shapes_accuracy").replace(
            "shapes-compressibility", "shapes-truth"
        )
        file.write_text(text, encoding="utf-8")
    return run


def _row(iteration: int, iterations: int) -> dict[str, Any]:
    noise = random.Random(iteration)
    share = iteration / iterations
    reward = -1.072 + 0.36 * (1 - math.exp(-2.5 * share)) + noise.gauss(0, 0.012)
    row = {
        "iteration": iteration,
        "reward/mean": reward,
        "reward/std": 0.135 - 0.06 * share,
        "reward/jpeg_compressibility": reward,
        "watch/shapes_accuracy": 0.66 - 0.27 * share**2 + noise.gauss(0, 0.012),
        "loss": noise.gauss(0, 1e-4),
        "policy/clip_fraction": 0.2 + 0.1 * share,
        "policy/kl": 3e-5 * iteration,
        "policy/grad_norm": 0.3 + noise.random() / 10,
        "policy/ratio_residual": 2.4e-7,
        "time/sample": 3.1,
        "time/reward": 0.1,
        "time/update": 2.6,
        "samples_seen": 128 * iteration,
        "network_passes": 128 * 60 * iteration,
    }
    if iteration % 10 == 0:
        row["evaluation/reward"] = reward + 0.02
        row["evaluation/shapes_accuracy"] = 0.68 - 0.27 * share**2
    return row


def _entry(index: int, share: float) -> dict[str, Any]:
    noise = random.Random(index)
    total = -1.2 + 0.05 * index + 0.35 * share + noise.gauss(0, 0.02)
    accuracy = 1.0 if noise.random() > share * 0.7 else (0.333 if index % 2 else 0.0)
    return sample(PROMPTS[index], total, watch={"shapes_accuracy": accuracy})


def _scene(index: int, share: float, side: int) -> Image.Image:
    noise = random.Random(index)
    unit = side / 64
    image = Image.new("RGB", (side, side), ("#8c8c8c", "#f2f2ee", "#141414")[index % 3])
    draw = ImageDraw.Draw(image)
    for _ in range(2):
        red, green, blue = colorsys.hsv_to_rgb(noise.random(), 0.8 * (1 - 0.6 * share), 0.9)
        radius = noise.uniform(9, 14) * (1 - 0.5 * share)
        x, y = noise.uniform(16, 48), noise.uniform(16, 48)
        box = [unit * v for v in (x - radius, y - radius, x + radius, y + radius)]
        colour = tuple(round(255 * value) for value in (red, green, blue))
        (draw.ellipse if noise.random() > 0.5 else draw.rectangle)(box, fill=colour)
    return image
