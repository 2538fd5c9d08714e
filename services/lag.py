"""How late the event loop is: a sleeper that notes when it is woken."""

import asyncio
from collections.abc import Callable

EVERY_S = 0.05


async def watch_loop(note: Callable[[float], None], every_s: float = EVERY_S) -> None:
    """Sleep again and again and note how many seconds too late the loop woke; ends if cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        note(max(0.0, loop.time() - due))
