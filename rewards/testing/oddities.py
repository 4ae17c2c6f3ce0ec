"""Property of odd samples and odd prompts: a number in the range, or NaN, and no exception."""

import math
from collections.abc import Iterator
from dataclasses import replace

from rewards.errors import one_line
from rewards.scoring import Batch
from rewards.testing.case import Case
from rewards.testing.finding import Broken
from rewards.testing.result import check_bounds
from rewards.testing.samples import ODD_TEXTS


def odd_inputs(case: Case) -> None:
    """It survives what a model may make and a user may ask for."""
    for what, batch in _odd_batches(case):
        try:
            result = case.call(batch)
        # The author's code may raise anything.
        except Exception as error:
            message = f"{what} raised {one_line(error)}; return NaN if it cannot be scored"
            raise Broken(message) from error
        for value in case.batch.modality.numbers(result, keep_graph=False).tolist():
            if math.isinf(value):
                raise Broken(f"{what} got {value}")
            check_bounds(case, value, what)


def _odd_batches(case: Case) -> Iterator[tuple[str, Batch]]:
    """One row each, the first of the batch with another sample or prompt; two in a group reward."""
    rows = [0, 0] if case.reward.definition.group else [0]
    first = case.batch.rows(rows)
    for what, sample in case.samples.odd().items():
        samples = case.batch.modality.take(sample, rows)
        yield what, replace(first, samples=samples)
    for what, prompt in ODD_TEXTS.items():
        yield f"{what} as prompt", replace(first, prompts=[prompt] * len(rows))
