"""A reward that may take so long and no longer: one that hangs costs a batch, not the run."""

import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rewards.around import Around
from rewards.modality import modality_of
from rewards.scoring import Failure, RewardLike, Scored

T = TypeVar("T")

_left_behind: list[threading.Thread] = []


class Timed(Around):
    """A reward with a limit of `seconds` for each batch.

    When the time is over, every sample of the batch has failed. The call itself cannot be stopped:
    its thread is left behind, and whoever ends the program asks `left_behind` how.
    """

    def __init__(self, reward: RewardLike, seconds: float) -> None:
        super().__init__(reward)
        self.seconds = seconds

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """See `Reward.score`."""
        try:
            return within(self.seconds, lambda: self.reward.score(samples, prompts, columns))
        except TimeoutError:
            return out_of_time(self, samples, prompts, self.seconds)


def within(seconds: float, action: Callable[[], T]) -> T:
    """The result of `action`, called in a thread of its own.

    Raises:
        TimeoutError: there was none in time.
        Exception: what `action` raised.
    """
    answer: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()

    inherit = thread_state()

    def run() -> None:
        try:
            inherit()
            result = action()
            answer.put(lambda: result)
        except BaseException as error:
            caught = error
            answer.put(lambda: _raise(caught))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return answer.get(timeout=seconds)()
    except queue.Empty:
        leave_behind(thread)
        raise TimeoutError from None


def leave_behind(thread: threading.Thread) -> None:
    """Nobody waits for this daemon thread any more."""
    _left_behind.append(thread)


def left_behind() -> bool:
    """Whether a thread that nobody waits for still runs.

    The interpreter ends such a thread where it next asks for Python, and inside torch that aborts
    the program (exit code 134): end with `os._exit` then, after all files are written.
    """
    return any(thread.is_alive() for thread in _left_behind)


def thread_state() -> Callable[[], None]:
    """What gives another thread this one's state of torch, where torch is in use: whether gradients
    are wanted, and the device.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return lambda: None
    gradients = torch.is_grad_enabled()
    device = torch.cuda.current_device() if torch.cuda.is_initialized() else None

    def inherit() -> None:
        torch.set_grad_enabled(gradients)
        if device is not None:
            torch.cuda.set_device(device)

    return inherit


def out_of_time(reward: RewardLike, samples: Any, prompts: Sequence[str], seconds: float) -> Scored:
    """A batch of which nothing could be scored in time."""
    reason = f"no answer within {seconds:g} s (scoring.timeout)"
    missing = modality_of(reward.definition.modality, samples).missing(samples)
    failures = (Failure(reward.name, row, prompt, reason) for row, prompt in enumerate(prompts))
    return Scored(missing, tuple(failures))


def _raise(error: BaseException) -> Any:
    raise error
