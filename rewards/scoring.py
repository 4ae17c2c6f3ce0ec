"""A reward that has been made: the one place that checks its input, its result and its failures.

A number is never invented: a sample that could not be scored is NaN, and a `Failure` says why. What
to do about it (stop, drop the sample, use the batch mean) is the caller's decision.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rewards.errors import RewardError, one_line
from rewards.registry import Definition

logger = logging.getLogger(__name__)

# Decoders overshoot [0, 1] by rounding; a batch in [-1, 1] or [0, 255] is a mistake.
PIXEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Failure:
    """A sample that a reward could not score: which reward, which row of the batch, and why."""

    reward: str
    row: int
    prompt: str
    reason: str

    def __str__(self) -> str:
        return f"reward '{self.reward}', sample {self.row}, prompt {self.prompt!r}: {self.reason}"


@dataclass(frozen=True)
class Scored:
    """Rewards `[B]` in float32, NaN where there is a failure."""

    values: Tensor
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Batch:
    samples: Any
    prompts: list[str]
    columns: dict[str, list[Any]]

    def rows(self, rows: list[int]) -> "_Batch":
        samples = self.samples
        return _Batch(
            samples[rows] if isinstance(samples, Tensor) else [samples[row] for row in rows],
            [self.prompts[row] for row in rows],
            {name: [values[row] for row in rows] for name, values in self.columns.items()},
        )


class Reward:
    """What `rewards.make` returns: called as `reward(samples, prompts, **columns)`, it gives `[B]`.

    Samples are images `[B, 3, H, W]` float in [0, 1], or a list of `B` texts. The values are on the
    device of the images, or on the CPU.
    """

    def __init__(self, definition: Definition, function: Callable[..., Any]) -> None:
        self.name = definition.name
        self.definition = definition
        self._function = function

    def __repr__(self) -> str:
        return f"Reward({self.name!r})"

    def __call__(self, samples: Any, prompts: Sequence[str], **columns: Sequence[Any]) -> Tensor:
        """Rewards `[B]`, all of them finite.

        Raises:
            RewardError: a sample could not be scored; the message names the reward and the prompt.
        """
        scored = self.score(samples, prompts, columns)
        if scored.failures:
            more = len(scored.failures) - 1
            also = f" (and {more} more)" if more else ""
            raise RewardError(f"{scored.failures[0]}{also}")
        return scored.values

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """Rewards `[B]` with NaN where a sample could not be scored, and the reason for each.

        Columns that the reward does not declare are ignored.

        Raises:
            RewardError: the input is malformed, a column is missing, the result is not `B` numbers.
        """
        batch = self._checked_batch(samples, prompts, columns or {})
        reasons = _unusable(batch.samples)
        usable = [row for row in range(len(batch.prompts)) if row not in reasons]
        device = samples.device if isinstance(samples, Tensor) else torch.device("cpu")
        values = torch.full((len(batch.prompts),), torch.nan, device=device)
        if usable:
            scores, errors = self._call(batch.rows(usable) if reasons else batch)
            values[usable] = scores.to(device)
            reasons |= {usable[row]: reason for row, reason in errors.items()}
        return self._report(values, batch.prompts, reasons)

    def _call(self, batch: _Batch) -> tuple[Tensor, dict[int, str]]:
        """Scores of a batch and, where an exception stopped it, the rows to blame."""
        size = len(batch.prompts)
        try:
            result = self._function(batch.samples, batch.prompts, **batch.columns)
        # A reward is foreign code: whatever it raises becomes a failure that names the prompt.
        except Exception as error:
            if size == 1 or self.definition.group:
                return torch.full((size,), torch.nan), dict.fromkeys(range(size), one_line(error))
            return self._call_rows(batch, error)
        return self._numbers(result, batch.prompts), {}

    def _call_rows(self, batch: _Batch, error: Exception) -> tuple[Tensor, dict[int, str]]:
        """Score rows alone to find out which of them raised in a batch."""
        results = [self._call(batch.rows([row])) for row in range(len(batch.prompts))]
        reasons = {row: rest[0] for row, (_, rest) in enumerate(results) if rest}
        if not reasons:
            logger.warning(
                "reward '%s' failed on a batch of %d but scored each sample alone: %s",
                self.name,
                len(results),
                one_line(error),
            )
        return torch.cat([scores for scores, _ in results]), reasons

    def _numbers(self, result: Any, prompts: list[str]) -> Tensor:
        """The result of one call as float32 `[B]`; anything else is an error of the reward."""
        size = len(prompts)
        where = f"reward '{self.name}' (first prompt {prompts[0]!r})"
        if isinstance(result, (str, bytes, Mapping)):
            raise RewardError(f"{where} returned a {type(result).__name__}, not {size} numbers")
        try:
            values = torch.as_tensor(result)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(result).__name__
            raise RewardError(f"{where} returned a {kind} that is not {size} numbers") from error
        if values.shape != (size,):
            shape = list(values.shape)
            raise RewardError(f"{where} returned shape {shape} for {size} samples, not [{size}]")
        if values.is_complex():
            raise RewardError(f"{where} returned {values.dtype}, not real numbers")
        return values.float() if self.definition.differentiable else values.detach().float()

    def _report(self, values: Tensor, prompts: list[str], reasons: dict[int, str]) -> Scored:
        finite = values.isfinite()
        for row in (~finite).nonzero().flatten().tolist():
            reasons.setdefault(row, f"returned {values[row].item()}")
        failures = (Failure(self.name, row, prompts[row], reasons[row]) for row in sorted(reasons))
        return Scored(torch.where(finite, values, torch.nan), tuple(failures))

    def _checked_batch(
        self, samples: Any, prompts: Sequence[str], columns: Mapping[str, Sequence[Any]]
    ) -> _Batch:
        problem = (
            _image_problem(samples)
            if self.definition.modality == "image"
            else _text_problem(samples)
        )
        if problem:
            raise RewardError(f"reward '{self.name}' {problem}")
        if len(prompts) != len(samples):
            counts = f"{len(samples)} samples and {len(prompts)} prompts"
            raise RewardError(f"reward '{self.name}' was given {counts}")
        for column in self.definition.columns:
            if column not in columns:
                raise RewardError(
                    f"reward '{self.name}' needs the column '{column}' of the prompt set"
                )
            if len(columns[column]) != len(samples):
                counts = f"{len(columns[column])} values for {len(samples)} samples"
                raise RewardError(f"reward '{self.name}': column '{column}' has {counts}")
        needed = {column: list(columns[column]) for column in self.definition.columns}
        return _Batch(samples, list(prompts), needed)


def _image_problem(samples: Any) -> str:
    if not isinstance(samples, Tensor) or samples.ndim != 4 or samples.shape[1] != 3:
        shape = list(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        return f"scores images [B, 3, H, W], not {shape}"
    if not samples.is_floating_point():
        return f"scores floating-point images in [0, 1], not {samples.dtype}"
    if 0 in samples.shape[2:]:
        return f"scores images with pixels, not {list(samples.shape)}"
    low, high, finite = _bounds(samples)
    if finite.any():
        lowest, highest = low[finite].min().item(), high[finite].max().item()
        if lowest < -PIXEL_TOLERANCE or highest > 1 + PIXEL_TOLERANCE:
            return f"scores images in [0, 1], not in [{lowest:.3g}, {highest:.3g}]"
    return ""


def _bounds(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest and highest value of each image, and whether all its values are finite."""
    low, high = images.detach().flatten(1).aminmax(dim=1)
    return low, high, low.isfinite() & high.isfinite()


def _text_problem(samples: Any) -> str:
    if isinstance(samples, str) or not isinstance(samples, Sequence):
        return f"scores a list of texts, not a {type(samples).__name__}"
    strange = next((type(s).__name__ for s in samples if not isinstance(s, str)), "")
    return f"scores a list of texts, but one is a {strange}" if strange else ""


def _unusable(samples: Any) -> dict[int, str]:
    """Rows whose image is not finite: a diverged model must not earn a number for its garbage."""
    if not isinstance(samples, Tensor):
        return {}
    _, _, finite = _bounds(samples)
    return dict.fromkeys((~finite).nonzero().flatten().tolist(), "the image is not finite")
