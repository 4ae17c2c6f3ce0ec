"""The prompt sets of the world, with the columns that rewards need."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ddpo.worlds.texts.programs.tasks import distinct_tasks
from ddpo.worlds.texts.summaries import summaries

SEED = 100  # the corpus has others
TRAINING_PROMPTS, HELDOUT_PROMPTS, FAMILY_PROMPTS = 512, 192, 128

Columns = dict[str, list[Any]]


def summary_columns(count: int, held_out: bool) -> Columns:
    """Descriptions as prompts, each with the caption of its scene as `reference`."""
    drawn = summaries(count, SEED, held_out)
    return {"prompt": drawn.descriptions, "reference": drawn.references}


def program_columns(count: int, **split: bool) -> Columns:
    """Tasks as prompts, each with its `tests`, and a right program as `reference`; `split` as for
    `tasks`.
    """
    drawn = distinct_tasks(count, SEED, **split)
    return {
        "prompt": [task.prompt for task in drawn],
        "tests": [task.tests for task in drawn],
        "reference": [task.right for task in drawn],
    }


SETS: dict[str, Callable[[], Columns]] = {
    "summaries": partial(summary_columns, TRAINING_PROMPTS, held_out=False),
    "summaries-heldout": partial(summary_columns, HELDOUT_PROMPTS, held_out=True),
    "programs": partial(program_columns, TRAINING_PROMPTS),
    "programs-heldout": partial(program_columns, HELDOUT_PROMPTS, held_out=True),
    "programs-heldout-families": partial(program_columns, FAMILY_PROMPTS, held_out_families=True),
}
"""What makes each set."""
