"""A circuit breaker: what has failed several times in a row is left alone for a while.

States after Nygard, 2007 (Release It!): closed while all is well; open after `FAILURES` failures in
a row, when nothing is sent; after `cool_down` seconds one probe, which closes it or opens it again.
"""

import threading
import time

FAILURES = 3
COOL_DOWN = 5.0


class Circuit:
    """Whether something may be called now. Safe to use from several threads.

    Args:
        cool_down: seconds without calls after `FAILURES` failures in a row.
    """

    def __init__(self, cool_down: float = COOL_DOWN) -> None:
        self.cool_down = cool_down
        self.problem = ""
        self._failures = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def admits(self) -> bool:
        """Whether to call now; a yes while it is open is the one probe, so it must be answered by
        `succeeded` or `failed`.
        """
        with self._lock:
            if self._failures < FAILURES:
                return True
            now = time.monotonic()
            if now < self._open_until:
                return False
            # A probe whose caller is killed must not leave it open for ever.
            self._open_until = now + max(self.cool_down, 1.0) * 60
            return True

    def succeeded(self) -> None:
        """A call was answered."""
        with self._lock:
            self._failures = 0

    def failed(self, problem: str) -> None:
        """A call was not answered, for a reason that is kept in `problem`."""
        with self._lock:
            self.problem = problem
            self._failures += 1
            self._open_until = time.monotonic() + self.cool_down
