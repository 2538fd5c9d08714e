"""How busy an engine was lately: whether it could hold real time for one conversation more."""

import time
from collections import deque

WINDOW_S = 5.0
_FULL = 0.9
"""Share of the time that may be spent computing."""


class Load:
    """Seconds spent on live conversations lately, and when sound last came too late."""

    def __init__(self) -> None:
        self._work: deque[tuple[float, float]] = deque()
        self._late_s = float("-inf")

    def add(self, seconds: float) -> None:
        """Count work that ended now and that somebody who listens waited for."""
        now_s = time.monotonic()
        self._work.append((now_s, seconds))
        while self._work[0][0] < now_s - WINDOW_S:
            self._work.popleft()

    def late(self) -> None:
        """Note that somebody ran out of sound."""
        self._late_s = time.monotonic()

    @property
    def busy(self) -> float:
        """Share of the last seconds spent on live conversations."""
        since_s = time.monotonic() - WINDOW_S
        return sum(seconds for at_s, seconds in tuple(self._work) if at_s >= since_s) / WINDOW_S

    @property
    def retry_after_s(self) -> float:
        """Seconds after which one more may come; 0 if it may now."""
        late_for_s = self._late_s + WINDOW_S - time.monotonic()
        if late_for_s > 0:
            return late_for_s
        return 1.0 if self.busy > _FULL else 0.0
