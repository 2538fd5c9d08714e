"""Many who begin each round at the same moment, also when some leave."""

import asyncio


class Rounds:
    """All who take part wait for one another."""

    def __init__(self, n: int) -> None:
        self._n, self._waiting = n, 0
        self._begin = asyncio.Event()

    async def next(self) -> None:
        """Wait until everybody waits."""
        begin = self._begin
        self._waiting += 1
        self._check()
        await begin.wait()

    def leave(self) -> None:
        """Take no more part."""
        self._n -= 1
        self._check()

    def _check(self) -> None:
        if self._waiting >= self._n:
            self._begin.set()
            self._begin, self._waiting = asyncio.Event(), 0
