"""Is reinforcement learning worth it? A run of the token chain beside supervised learning on
references, from the same model, on as many samples and for as long.

    python -m benchmarks.supervised configs/ppo_scenes_bleu.yaml reference --seeds 0 1 2 \
        --out benchmarks/results/supervised_scenes.json

The run is trained as configured. Then the same model learns the references of the same prompts by
cross-entropy, in batches as large as the run's updates, until it has seen as many samples as the
run made, and on until it has trained for as many seconds. All are evaluated alike: held-out
prompts, sampled and greedily, and those of `--beside`, too. Seeds that FILE holds already are not
run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import kept, timed, write_result
from ddpo.config.reading import load_config
from ddpo.config.schema import PromptsConfig
from ddpo.evaluation import evaluate
from ddpo.metrics import Row
from ddpo.prompts import load_prompts
from ddpo.run import Run, prepare_run
from ddpo.stopping import StopRequest
from ddpo.text.policy import TokenPolicy
from ddpo.training import iterate
from ddpo.trajectory import Trajectory

STAGES = ("time/sample", "time/reward", "time/update")
WAYS = ("base", "trained", "supervised_on_as_many", "supervised_for_as_long")
SPENT = ("samples", "seconds")


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    settings = {"config": str(options.config), "overrides": options.overrides}
    runs = kept(options.out, settings)
    for seed in sorted({*options.seeds} - {run["seed"] for run in runs}):
        runs.append({"seed": seed, **measure(options, seed)})
        write_result(options.out, {**settings, "runs": runs})
    print(table(runs))


def measure(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Both, from one seed."""
    with prepared(options, seed) as run, StopRequest(run.accelerator) as stop:
        found: dict[str, Any] = {"base": evaluated(run, options)}
        rows: list[Row] = []
        for _ in range(run.config.train.iterations):
            rows.append(iterate(run, stop))
        seconds = sum(float(row[key] or 0) for row in rows for key in STAGES)
        samples = run.state.samples_seen
        found["trained"] = {
            **evaluated(run, options),
            "samples": samples,
            "seconds": seconds,
            "kl": rows[-1].get("policy/kl"),
            "first_kl": rows[0].get("policy/kl"),
            "largest_residual": max(float(row["policy/ratio_residual"] or 0) for row in rows),
        }
    rate = [] if options.learning_rate is None else [f"train.learning_rate={options.learning_rate}"]
    with prepared(options, seed, [*rate, "algorithm={kind: ddpo}"]) as run:
        student = Student(run, options.column)
        student.learn(lambda: student.samples < samples)
        found["supervised_on_as_many"] = student.evaluated(options)
        student.learn(lambda: student.seconds < seconds)
        found["supervised_for_as_long"] = student.evaluated(options)
    return found


class Student:
    """Cross-entropy on the references of a run's prompts, with the run's own optimizer.

    Attributes:
        samples: references seen so far.
        seconds: that it took.
    """

    def __init__(self, run: Run, column: str):
        """Begin from the model as it is.

        Args:
            run: over the token chain.
            column: of its prompts, that holds the references.
        """
        assert isinstance(run.policy, TokenPolicy)
        self.samples = 0
        self.seconds = 0.0
        self._run = run
        self._policy = run.policy
        self._references = [self._ids(text) for text in run.prompts.columns[column]]

    def learn(self, more: Callable[[], bool]) -> None:
        """Make updates as long as there is more to do."""
        while more():
            self.seconds += timed(self._update)

    def evaluated(self, options: argparse.Namespace) -> dict[str, Any]:
        """What it has become."""
        spent = {"samples": self.samples, "seconds": self.seconds}
        return {**evaluated(self._run, options), **spent}

    def _update(self) -> None:
        """One optimizer step on as many references as an update of the run has samples."""
        run, size = self._run, self._run.plan.samples_per_update
        rows = run.prompts.draw(size, position=self.samples, seed=run.config.seed)
        ids, mask = map(torch.stack, zip(*(self._references[row] for row in rows), strict=True))
        texts = [run.prompts.texts[row] for row in rows]
        whole = Trajectory(texts, torch.zeros(mask.shape), mask, {"completion_ids": ids}, None)
        actions = mask.any(0).nonzero().flatten()
        for start in range(0, size, run.plan.micro_batch):
            part = whole[start : start + run.plan.micro_batch]
            log_probs = self._policy.evaluate(part, actions).log_probs
            loss = -(log_probs * part.mask[:, actions]).sum() / mask.sum()
            run.state.parallelism.backward(loss, last=False)
        run.state.parallelism.step(run.state.optimizer, run.state.parameters)
        self.samples += size

    def _ids(self, text: str) -> tuple[Tensor, Tensor]:
        """A reference as a completion, with its end, and its mask."""
        language, longest = self._policy.language, self._run.config.policy.longest_chain
        found = language.tokenizer(text, add_special_tokens=False).input_ids
        found = [*found, language.eos_ids[0]][:longest]
        rest = longest - len(found)
        ids = torch.tensor(found + [language.tokenizer.pad_token_id] * rest)
        return ids, torch.tensor([1.0] * len(found) + [0.0] * rest)


@contextmanager
def prepared(
    options: argparse.Namespace, seed: int, overrides: Sequence[str] = ()
) -> Iterator[Run]:
    """A run of the configuration in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        own = [f"seed={seed}", f"output_dir={folder}"]
        config = load_config(options.config, [*options.overrides, *overrides, *own])
        run = prepare_run(config, resume=False)
        yield run
        run.scorer.close()


def evaluated(run: Run, options: argparse.Namespace) -> Row:
    """The run's own held-out prompts, and those that are reported beside."""
    found = evaluate(run)
    if options.beside is not None:
        beside = load_prompts(PromptsConfig(set=options.beside))
        more = evaluate(dataclasses.replace(run, heldout=beside))
        found |= {key.replace("evaluation", options.beside): n for key, n in more.items()}
    return found


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Means and ranges over seeds, in Markdown."""
    keys = [key for key in runs[0]["base"] if not key.endswith("/reward")]
    lines = [f"| | {' | '.join(keys)} | samples | seconds |", "|---" * (len(keys) + 3) + "|"]
    for way in WAYS:
        cells = [_cell([run[way].get(key) for run in runs]) for key in (*keys, *SPENT)]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{statistics.mean(known):.3g} ({min(known):.3g} to {max(known):.3g})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("column", help="of the prompts, with the references")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--beside", help="a prompt set that is evaluated, too")
    parser.add_argument("--learning-rate", type=float, help="of supervised learning")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
