"""What is examined: a reward and a batch for it, so that each property can score it once more."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from typing import Any, Literal

from rewards.errors import RewardError
from rewards.explained import explain
from rewards.modality import modality_of
from rewards.scoring import Batch, Reward
from rewards.testing.samples import Samples, samples_of

# Several samples of each prompt, not side by side, and in the grammar of the shapes world.
PROMPTS = (
    "a red circle on a gray background",
    "a large red star at the left on a white background",
    "a red circle on a gray background",
    "a red circle left of a small blue square on a black background",
    "a large red star at the left on a white background",
    "a red circle left of a small blue square on a black background",
)
# Columns whose values can be made up, because their name says what they hold.
COLUMNS = {
    "reference": (
        "a red circle lies on a gray table",
        "the star is large",
        "one circle, red",
        "left: a circle; right: a square",
        "a red star",
        "There are two shapes.",
    )
}
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """A reward that has been made, the batch that it is tried on, and more samples of that kind."""

    reward: Reward
    batch: Batch
    kind: Literal["image", "text"]

    @cached_property
    def values(self) -> list[float]:
        """The numbers of the whole batch."""
        return self.score(self.batch)

    @property
    def samples(self) -> Samples:
        """Where more samples come from."""
        return samples_of(self.kind)

    def score(self, batch: Batch) -> list[float]:
        """A number for each sample of a copy of the batch, NaN where it could not be scored.

        Raises:
            RewardError: the reward returned something else.
        """
        given = fresh(batch)
        return self.reward.score(given.samples, given.prompts, given.columns).values.tolist()

    def call(self, batch: Batch) -> Any:
        """The numbers that the author's function returns for a copy of the batch, whatever they
        are; it may raise anything.
        """
        given = fresh(batch)
        return explain(self.reward.function(given.samples, given.prompts, **given.columns)).numbers

    def alone(self, row: int) -> list[float]:
        """The number of one row, scored alone."""
        return self.score(self.batch.rows([row]))

    def shown(self, row: int) -> str:
        """One row of the batch, for a message."""
        sample = "" if self.kind == "image" else f", text {short(self.batch.samples[row])}"
        return f"row {row} (prompt {short(self.batch.prompts[row])}{sample})"


def build_case(
    reward: Reward,
    samples: Any,
    prompts: Sequence[str] | None,
    columns: Mapping[str, Sequence[Any]] | None,
) -> Case:
    """A case of what was given; whatever was not is made up, as many as there are of the rest.

    Raises:
        RewardError: the reward needs a column that was not given and cannot be made up.
    """
    kind = _kind(reward, samples)
    given = dict(columns or {})
    count = next(
        (len(one) for one in (samples, prompts, *given.values()) if one is not None), len(PROMPTS)
    )
    if samples is None:
        samples = samples_of(kind).ordinary(count)
    chosen = _repeated(PROMPTS, count) if prompts is None else list(prompts)
    needed = {name: _column(reward, name, given, count) for name in reward.definition.columns}
    return Case(reward, Batch(samples, chosen, needed, modality_of(kind, samples)), kind)


def fresh(batch: Batch) -> Batch:
    """A copy that shares nothing: a reward that writes into its input harms no other check."""
    return replace(
        batch,
        samples=copy.deepcopy(batch.samples),
        prompts=list(batch.prompts),
        columns=copy.deepcopy(batch.columns),
    )


def differ(one: float, other: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two numbers are not the same up to rounding; NaN is the same as NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) != math.isnan(other)
    return not math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


def first_difference(before: Sequence[float], after: Sequence[float]) -> int | None:
    """The first place at which two lists of numbers differ; None if they are the same."""
    pairs = enumerate(zip(before, after, strict=True))
    return next((place for place, (one, other) in pairs if differ(one, other)), None)


def short(text: str, most: int = 40) -> str:
    """A text in quotes, cut to a length that fits a message."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}…"


def _kind(reward: Reward, samples: Any) -> Literal["image", "text"]:
    declared = reward.definition.modality
    if declared == "image" or declared == "text":
        return declared
    return "text" if _are_texts(samples) else "image"


def _are_texts(samples: Any) -> bool:
    return samples is not None and modality_of("any", samples) is modality_of("text", samples)


def _column(reward: Reward, name: str, given: Mapping[str, Sequence[Any]], count: int) -> list[Any]:
    if name in given:
        return list(given[name])
    if name not in COLUMNS:
        raise RewardError(
            f"reward '{reward.name}' needs the column '{name}', whose values cannot be made up: "
            f"give columns={{'{name}': […]}}, or --columns FILE on the command line"
        )
    return _repeated(COLUMNS[name], count)


def _repeated(values: Sequence[Any], count: int) -> list[Any]:
    return list(islice(cycle(values), count))
