"""What the trainings share: a time budget, a learning rate, and checkpoints."""

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CHECKPOINT_SECONDS = 60.0
WARM_UP = 0.03  # part of the budget over which the learning rate rises


class Stage:
    """A training that ends when its minutes are spent, however often it was killed.

    The budget is time, so that one command makes usable weights on any machine; the learning rate
    follows the part of the budget that is spent. A checkpoint holds the modules' and the
    optimizer's tensors as safetensors, and the seconds and steps spent as metadata of that file.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        modules: dict[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        minutes: float,
        peak_rate: float,
    ) -> None:
        self.path = folder / f"{name}.safetensors"
        self.name = name
        self.modules = modules
        self.optimizer = optimizer
        self.budget = minutes * 60
        self.peak_rate = peak_rate
        self.seconds = 0.0
        self.step = 0
        self.average_loss = math.nan
        self.stopped = False
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._load()

    def steps(self) -> Iterator[int]:
        """Yield the number of each step until the budget is spent or `stop` was called."""
        saved = self.seconds
        while self.seconds < self.budget and not self.stopped:
            started = time.monotonic()
            self._set_rate()
            yield self.step
            self.step += 1
            self.seconds += time.monotonic() - started
            if self.seconds - saved > CHECKPOINT_SECONDS:
                saved = self.seconds
                self._save()
        self._save()

    def stop(self) -> None:
        """End the training after this step."""
        self.stopped = True
        self.budget = self.seconds

    def update(self, loss: Float[Tensor, ""]) -> None:
        """Take one optimizer step, with the gradient's norm clipped to 1."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step()
        fresh = loss.item()
        known = not math.isnan(self.average_loss)
        self.average_loss = 0.98 * self.average_loss + 0.02 * fresh if known else fresh

    def report(self, text: str) -> None:
        """Print a line that says how far the training is."""
        print(f"{self.name} {self.seconds:6.0f} s, step {self.step}: {text}", flush=True)

    def _set_rate(self) -> None:
        spent = self.seconds / self.budget
        rise = min(1.0, (spent + 1e-3) / WARM_UP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak_rate * rise * (0.5 + 0.5 * math.cos(math.pi * min(1.0, spent)))

    def _save(self) -> None:
        tensors = {
            f"{name}/{key}": value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
        spent = {"seconds": self.seconds, "step": self.step, "stopped": self.stopped}
        save_whole(tensors, self.path, {"spent": json.dumps(spent)})
        self.report(f"loss {self.average_loss:.4f}")

    def _load(self) -> None:
        tensors = load_file(self.path)
        for name, module in self.modules.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, field = key.split("/")
                state.setdefault(int(index), {})[field] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        with safe_open(self.path, "pt") as file:
            spent = json.loads(file.metadata()["spent"])
        self.seconds, self.step = spent["seconds"], spent["step"]
        if spent["stopped"]:
            self.stop()


def save_whole(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, whole or not at all."""
    aside = path.with_suffix(".aside")
    save_file({name: value.contiguous() for name, value in tensors.items()}, aside, metadata)
    os.replace(aside, path)


def as_tensor(pictures: np.ndarray) -> Float[Tensor, "b 3 h w"]:
    """Pictures uint8 [b, h, w, 3] as float in [0, 1], channels first."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
