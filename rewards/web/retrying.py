"""Asking again: exponential back-off with jitter, and the wait that a server asked for."""

import random
from collections.abc import Callable
from typing import cast

import tenacity

from rewards.web.request import Refused, RequestError

LONGEST_WAIT = 5.0
LONGEST_ASKED_WAIT = 60.0
"""A server that asks for more is asked again after this."""
BUSY = {429, 503}
"""Statuses of a server that is there and cannot answer now."""
PROXY = {502, 504}
"""Statuses by which a proxy says that the server behind it is down."""

FIRST_WAIT = 0.2

# Not the global generator, whose state belongs to the program.
_jitter = random.Random()


def retrying(
    worth_it: Callable[[RequestError], bool],
    enough: Callable[[tenacity.RetryCallState], bool],
    sleep: Callable[[float], object],
) -> tenacity.Retrying:
    """What calls a function again while its error is `worth_it`, until there was `enough`."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, RequestError) and worth_it(e)),
        wait=_wait,
        stop=enough,
        sleep=cast(Callable[[float], None], sleep),
        reraise=True,
    )


def temporary(error: RequestError) -> bool:
    """Whether the same request may be answered later: not an error that the server explains."""
    if not isinstance(error, Refused):
        return True
    return error.status in BUSY or (error.status in PROXY and not error.explained)


def error_of(state: tenacity.RetryCallState) -> BaseException | None:
    """What the last try raised."""
    return state.outcome.exception() if state.outcome else None


def _wait(state: tenacity.RetryCallState) -> float:
    error = error_of(state)
    asked = error.wait if isinstance(error, Refused) else 0.0
    # Below 2**16 there is no overflow, and the limit has long been reached.
    backoff = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(state.attempt_number - 1, 16))
    return min(asked, LONGEST_ASKED_WAIT) + _jitter.uniform(0, backoff)
