"""The memory of an update over a large vocabulary: log-probs a chunk of tokens at a time, against
the plain implementation, which holds the logits of all tokens and their log-softmax.

    python -m benchmarks.text_memory --out benchmarks/results/text_memory.json

Each is measured in a process of its own: a GPT-2 of two narrow layers, so that the vocabulary is
what takes memory, and the forward and backward pass of PPO's loss over all tokens of a batch, with
their entropies. What the weights and the process take before is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.report import timed, write_result
from benchmarks.resident import RETURN_MEMORY, resident_most, resident_now
from ddpo.objectives import clipped_surrogate
from ddpo.text.loading import without_dropout
from ddpo.text.network import TokenNetwork

PROMPT = 32
EOS = 0


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    if options.way:
        print(json.dumps(measure(options)))
        return
    found = {way: _alone(options, way) for way in WAYS}
    ratio = found["chunks"]["bytes"] / found["plain"]["bytes"]
    for way, one in found.items():
        print(f"| {way} | {one['bytes'] / 1e6:,.0f} MB | {one['seconds']:.1f} s |")
    print(f"chunks take {ratio:.2f} of the plain implementation's memory")
    sizes = {key: getattr(options, key) for key in ("vocabulary", "tokens", "batch", "chunk")}
    write_result(options.out, {**sizes, "ratio": ratio, **found})


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Bytes and seconds of one pass forward and back."""
    torch.manual_seed(0)
    size = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": PROMPT + options.tokens}
    model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=options.vocabulary, **size))
    without_dropout(model)
    ids = torch.randint(1, options.vocabulary, (options.batch, PROMPT + options.tokens))
    prompt, completion = ids.split([PROMPT, options.tokens], 1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    score = WAYS[options.way](model, prompt, completion, options.chunk)
    before = resident_now()
    seconds = timed(lambda: _pass(score))
    return {"bytes": resident_most() - before, "seconds": seconds}


def _chunks(model: Any, prompt: Tensor, completion: Tensor, chunk: int) -> Callable[[], Any]:
    network = TokenNetwork(model, (EOS,), temperature=1.0, min_length=0, chunk=chunk)
    mask = torch.ones(completion.shape)

    def score() -> tuple[Tensor, Tensor]:
        found = network(prompt, torch.ones_like(prompt), completion, mask)
        return found["log_probs"], found["entropy"]

    return score


def _plain(model: Any, prompt: Tensor, completion: Tensor, chunk: int) -> Callable[[], Any]:
    def score() -> tuple[Tensor, Tensor]:
        logits = model(torch.cat([prompt, completion], 1), use_cache=False).logits
        log_softmax = logits[:, PROMPT - 1 : -1].log_softmax(2)
        entropy = -(log_softmax.exp() * log_softmax).sum(2)
        return log_softmax.gather(2, completion[:, :, None]).squeeze(2), entropy

    return score


WAYS = {"plain": _plain, "chunks": _chunks}


def _pass(score: Callable[[], tuple[Tensor, Tensor]]) -> None:
    log_probs, entropy = score()
    ones = torch.ones_like(log_probs)
    loss = clipped_surrogate(log_probs, log_probs.detach(), ones, ones, clip_range=0.2)
    (loss - 0.01 * entropy).mean().backward()


def _alone(options: argparse.Namespace, way: str) -> dict[str, float]:
    """The same in a process of its own."""
    words = [f"--{k}={getattr(options, k)}" for k in ("vocabulary", "tokens", "batch", "chunk")]
    command = [sys.executable, "-m", "benchmarks.text_memory", f"--way={way}", *words]
    environment = {**os.environ, **RETURN_MEMORY}
    done = subprocess.run(command, check=True, capture_output=True, env=environment, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--tokens", type=int, default=512, help="of a completion")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--chunk", type=int, default=1024, help="policy.chunk")
    parser.add_argument("--way", choices=[*WAYS], help="measure only this, here")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
