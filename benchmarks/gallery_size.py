"""How fast a gallery is written, and whether a large one opens and scrolls as a small one does.

    python -m benchmarks.gallery_size --out benchmarks/results/gallery_size.json

Pictures are made up: smooth shapes under noise, which PNG compresses about as it does a photograph.
Rates are of `--few` pictures of each side; beside them stands the processor time of one, which a
busy machine does not change. Then a gallery of `--few` and one of `--pictures` are opened from disk
in Chromium (`pip install playwright`), and compared. Memory is the browser's: all its processes,
what they share counted once, above that of the same browser with an empty page.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.report import timed, write_result
from ddpo.gallery import write_gallery

DISTINCT = 50
"""Pictures that are made; the others are copies, which cost as much to read."""
SCROLLS = 120
WHEEL = 100
"""Pixels that a turn of a mouse wheel scrolls."""
SIDES = (64, 256, 512)
FRAMES = """([frames, pixels]) => new Promise((resolve) => {
  const box = document.querySelector(".wall");
  const times = [];
  box.scrollTop = 0;
  const next = (time) => {
    times.push(time);
    if (times.length > frames) return resolve(times.slice(1).map((t, i) => t - times[i]));
    box.scrollTop += pixels ?? box.scrollHeight / frames;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()}
    report["of each side"] = {side: rate(options.few, side) for side in SIDES}
    for count in (options.few, options.pictures):
        report[f"{count:,} pictures"] = measured(count, options.chromium)
    print(json.dumps(report, indent=1))
    write_result(options.out, report)


def rate(count: int, side: int) -> dict[str, float]:
    """Pictures a second that a first gallery takes, with everything else that it writes, and
    milliseconds of processor time for one.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), count, side)
        before = used()
        seconds = timed(lambda: write_gallery(Path(folder)))
        return {
            "pictures a second": round(count / seconds, 1),
            "processor ms for one": round(1000 * (used() - before) / count, 1),
        }


def used() -> float:
    """Seconds of processor time of this process and of those that it started and that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def measured(count: int, chromium: str) -> dict[str, Any]:
    """A gallery of small pictures: written, written again, and opened."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        write_run(run, count, SIDES[0])
        return {
            "seconds to write": round(timed(lambda: write_gallery(run)), 1),
            "seconds to write again": round(timed(lambda: write_gallery(run)), 2),
            **opened(run / "gallery" / "index.html", chromium),
        }


def write_run(run: Path, count: int, side: int) -> None:
    """A run of two iterations that share `count` pictures."""
    random = np.random.default_rng(0)
    pictures = [picture(random, side) for _ in range(DISTINCT)]
    for iteration in (0, 100):
        folder = run / "samples" / f"{iteration:06d}"
        folder.mkdir(parents=True)
        samples = []
        for number in range(count // 2):
            file = f"{number:04d}.png"
            (folder / file).write_bytes(pictures[number % DISTINCT])
            rewards = {name: float(random.normal()) for name in ("aesthetic", "alignment")}
            samples.append(
                {
                    "file": file,
                    "prompt": f"a picture of the {number % 1000}th of a thousand subjects",
                    "rewards": rewards,
                    "total": sum(rewards.values()),
                    "watch": {"accuracy": float(random.random())},
                }
            )
        (folder / "index.json").write_text(json.dumps({"samples": samples}))


def picture(random: np.random.Generator, side: int) -> bytes:
    """A PNG of smooth shapes under a little noise."""
    shapes = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(shapes.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    noisy = (smooth + random.integers(-4, 5, smooth.shape)).clip(0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(noisy).save(content, "PNG")
    return content.getvalue()


def opened(page_file: Path, chromium: str) -> dict[str, Any]:
    """Seconds until the page stands and until its parts do, frames while samples scroll past, and
    memory in the end.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto("about:blank")
        empty = memory(chromium)

        def show(selector: str) -> None:
            page.locator(selector).first.scroll_into_view_if_needed()

        def sort() -> None:
            page.get_by_role("combobox", name="Show", exact=True).select_option("worst")
            page.evaluate("() => new Promise(requestAnimationFrame)")

        def last() -> None:
            page.locator(".wall button").first.focus()
            page.keyboard.press("End")
            page.locator(".wall li[aria-posinset]:focus-within img").wait_for()

        steps = {
            "seconds to open": lambda: (page.goto(page_file.as_uri()), show(".theme")),
            "seconds to the rows": lambda: (show("#rows"), show("#rows button img")),
            "seconds to every sample": lambda: (show("#explorer"), show(".wall button img")),
            "seconds to sort": sort,
            "seconds to the last sample": last,
        }
        found: dict[str, Any] = {name: round(timed(step), 2) for name, step in steps.items()}
        found |= {
            "ms a frame, by wheel": frames(page.evaluate(FRAMES, [SCROLLS, WHEEL])),
            "ms a frame, from end to end": frames(page.evaluate(FRAMES, [SCROLLS, None])),
            "elements": page.evaluate("() => document.querySelectorAll('*').length"),
            "memory, MB": round(memory(chromium)),
            "memory above an empty page, MB": round(memory(chromium) - empty),
        }
        browser.close()
    return found


def frames(times: list[float]) -> dict[str, float]:
    """Median, a long one, and the longest."""
    return {
        "median": round(statistics.median(times), 1),
        "95th percentile": round(sorted(times)[int(0.95 * len(times))], 1),
        "most": round(max(times), 1),
    }


def memory(chromium: str) -> float:
    """MB of the browsers that this process started, without what they share counted twice."""
    name = Path(chromium).name
    children = psutil.Process().children(recursive=True)
    found = [child for child in children if name in child.name()]
    return sum(child.memory_full_info().pss for child in found) / 2**20


if __name__ == "__main__":
    main()
