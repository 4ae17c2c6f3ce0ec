"""A reward that has been made: the one place that checks its input, its result and its failures.

A number is never invented: a sample that could not be scored is NaN, and a `Failure` says why. What
to do about it (stop, drop the sample, use the batch mean) is the caller's decision.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from rewards.definition import Definition
from rewards.errors import RewardError, UnavailableError, one_line
from rewards.explained import Explained, explain, problem, renumbered
from rewards.modality import Modality, modality_of

logger = logging.getLogger(__name__)


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
    """Rewards `[B]` in float32, NaN where there is a failure: a tensor for images, an array for
    texts. `details` has, by row, what the reward told of how the number came about.
    """

    values: Any
    failures: tuple[Failure, ...]
    details: Mapping[int, Any] = field(default_factory=dict)


@runtime_checkable
class RewardLike(Protocol):
    """What scores a batch under a name: a `Reward`, or one that is cached, timed or spread over
    processes.
    """

    @property
    def name(self) -> str:
        """What its numbers are called."""
        ...

    @property
    def definition(self) -> Definition:
        """What the reward declares."""
        ...

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """See `Reward.score`."""
        ...


@dataclass(frozen=True)
class Batch:
    """What a reward is called with: samples, and a prompt and a value of each column for each."""

    samples: Any
    prompts: list[str]
    columns: dict[str, list[Any]]
    modality: Modality

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, rows: Sequence[int]) -> "Batch":
        """Some of its rows."""
        return Batch(
            self.modality.take(self.samples, rows),
            [self.prompts[row] for row in rows],
            {name: [values[row] for row in rows] for name, values in self.columns.items()},
            self.modality,
        )


class Reward:
    """What `rewards.make` returns: called as `reward(samples, prompts, **columns)`, it gives `[B]`.

    Samples are images `[B, 3, H, W]` float in [0, 1], or a list of `B` texts. The values are a
    tensor on the device of the images, or a NumPy array for texts.

    Attributes:
        name: in the registry, or a label of the user's.
        definition: what it declares.
        function: what the author wrote, with its options bound.
        options: those options.
    """

    def __init__(
        self,
        definition: Definition,
        function: Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        label: str = "",
    ) -> None:
        self.name = label or definition.name
        self.definition = definition
        self.function = function
        self.options = dict(options or {})
        self._most = 0  # samples that fit in memory at once; 0 where nothing ran out

    def __repr__(self) -> str:
        return f"Reward({self.name!r})"

    def __call__(self, samples: Any, prompts: Sequence[str], **columns: Sequence[Any]) -> Any:
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
        batch = self.checked(samples, prompts, columns or {})
        reasons = batch.modality.unusable(batch.samples)
        usable = [row for row in range(len(batch)) if row not in reasons]
        values, details = batch.modality.missing(batch.samples), {}
        if usable:
            told = self._call(batch.rows(usable) if reasons else batch)
            values = batch.modality.place(values, usable, told.numbers)
            reasons |= renumbered(told.reasons, usable)
            details = renumbered(told.details, usable)
        values, strange = batch.modality.without_infinities(values)
        for row, value in strange.items():
            reasons.setdefault(row, f"returned {value}")
        failures = (Failure(self.name, row, prompts[row], reasons[row]) for row in sorted(reasons))
        return Scored(values, tuple(failures), details)

    def checked(
        self, samples: Any, prompts: Sequence[str], columns: Mapping[str, Sequence[Any]]
    ) -> Batch:
        """The batch that `function` would be called with.

        Raises:
            RewardError: it is malformed, or a column is missing.
        """
        modality = modality_of(self.definition.modality, samples)
        if problem := modality.problem(samples):
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
        return Batch(samples, list(prompts), needed, modality)

    def _call(self, batch: Batch) -> Explained:
        """Scores of a batch, with what the reward tells of its rows."""
        if self._most and len(batch) > self._most and not self.definition.group:
            return self._call_parts(batch, self._most)
        try:
            result = self.function(batch.samples, batch.prompts, **batch.columns)
        except UnavailableError as error:
            reasons = dict.fromkeys(range(len(batch)), str(error))
            return Explained(batch.modality.missing(batch.samples), reasons)
        # A reward is foreign code: whatever it raises becomes a failure that names the prompt.
        except Exception as error:
            if len(batch) == 1 or self.definition.group:
                reasons = dict.fromkeys(range(len(batch)), one_line(error))
                return Explained(batch.modality.missing(batch.samples), reasons)
            if out_of_memory(error):
                return self._call_less(batch)
            return self._call_rows(batch, error)
        told = explain(result)
        told = replace(told, numbers=self._numbers(told.numbers, batch))
        _, missing = batch.modality.without_infinities(told.numbers)
        if wrong := problem(told, len(batch), missing):
            raise RewardError(f"{self._where(batch)} returned {wrong}")
        return told

    def _call_less(self, batch: Batch) -> Explained:
        """Go on with half as many samples at once, now and from now on: memory ran out."""
        self._most = len(batch) // 2
        release_memory()
        logger.warning(
            "reward '%s' ran out of memory on %d samples: scoring %d at once from now on",
            self.name,
            len(batch),
            self._most,
        )
        return self._call_parts(batch, self._most)

    def _call_rows(self, batch: Batch, error: Exception) -> Explained:
        """Score rows alone to find out which of them raised in a batch."""
        told = self._call_parts(batch, 1)
        if not told.reasons:
            logger.warning(
                "reward '%s' failed on a batch of %d but scored each sample alone: %s",
                self.name,
                len(batch),
                one_line(error),
            )
        return told

    def _call_parts(self, batch: Batch, size: int) -> Explained:
        """Score a batch in parts of at most `size` samples."""
        values = batch.modality.missing(batch.samples)
        reasons, details = {}, {}
        for start in range(0, len(batch), size):
            rows = range(start, min(start + size, len(batch)))
            told = self._call(batch.rows(rows))
            values = batch.modality.place(values, rows, told.numbers)
            reasons |= renumbered(told.reasons, rows)
            details |= renumbered(told.details, rows)
        return Explained(values, reasons, details)

    def _numbers(self, result: Any, batch: Batch) -> Any:
        """The result of one call as float32 `[B]`; anything else is an error of the reward."""
        size, where = len(batch), self._where(batch)
        if isinstance(result, (str, bytes, Mapping)):
            raise RewardError(f"{where} returned a {type(result).__name__}, not {size} numbers")
        try:
            values = batch.modality.numbers(result, keep_graph=self.definition.differentiable)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(result).__name__
            detail = f"a {kind} that is not {size} real numbers ({one_line(error)})"
            raise RewardError(f"{where} returned {detail}") from error
        if tuple(values.shape) != (size,):
            shape = list(values.shape)
            raise RewardError(f"{where} returned shape {shape} for {size} samples, not [{size}]")
        return values

    def _where(self, batch: Batch) -> str:
        return f"reward '{self.name}' (first prompt {batch.prompts[0]!r})"


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out, of a device or of the machine."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def release_memory() -> None:
    """Give memory that torch keeps for later back to the device, where torch is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
