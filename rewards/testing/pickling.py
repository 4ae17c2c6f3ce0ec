"""Property of a reward that was made: another process can have a copy of it."""

import pickle
from dataclasses import replace
from tempfile import TemporaryFile
from typing import cast

from rewards.errors import one_line
from rewards.scoring import Reward
from rewards.testing.case import Case, first_difference
from rewards.testing.finding import Broken


def pickling(case: Case) -> None:
    """It can be pickled, and the copy gives the same numbers."""
    copied = replace(case, reward=_copy(case.reward))
    numbers = copied.score(case.batch)
    if not case.reward.definition.deterministic:
        return
    row = first_difference(case.values, numbers)
    if row is not None:
        before, after = case.values[row], numbers[row]
        raise Broken(f"{case.shown(row)} got {before:.7g}, and {after:.7g} from the pickled copy")


def _copy(reward: Reward) -> Reward:
    with TemporaryFile() as file:  # a model may not fit in memory twice
        try:
            pickle.dump(reward, file)
            file.seek(0)
            return cast(Reward, pickle.load(file))
        # Pickling runs the author's code, and has no error of its own for all that it refuses.
        except Exception as error:
            raise Broken(
                f"{one_line(error)}; define functions and classes with a name at the top level of "
                "a module that can be imported, and keep no open file, lock or lambda in the reward"
            ) from error
