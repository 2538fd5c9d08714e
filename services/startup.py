"""A start that cannot succeed: one line with the remedy, exit code 1, no worker started again.

The process that supervises the workers starts each one anew that ends. A worker that cannot open
its model therefore tells the supervisor, by a signal, to end the whole server. A worker whose
supervisor was killed ends too: it would hold the port, and nobody could stop it by the usual means.
So does one whose engine has given up, such as on a lost GPU: the one that is started anew may work.
"""

import asyncio
import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moss_speech.settings import Settings, settings

REFUSED = (ValueError, LookupError, OSError, RuntimeError, MemoryError)
"""What is raised for a model or a setting that cannot be used."""
_FAILED = signal.SIGUSR1
_LOOK_S = 0.5
_LOG = logging.getLogger(__name__)


def reason(error: BaseException) -> str:
    """The line that people read."""
    return f"the service cannot start: {error}"


def settings_or_end() -> Settings:
    """The settings of this process; it ends if one cannot be used."""
    try:
        return settings()
    except REFUSED as error:
        sys.exit(reason(error))


def expect_failures() -> None:
    """In the supervisor: end with exit code 1 once a worker says that it cannot start."""
    signal.signal(_FAILED, _end)


def _end(*_: object) -> None:
    atexit.register(os._exit, 1)  # the supervisor itself would end with 0
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def ending_on_failure() -> Iterator[None]:
    """In a worker: say why it cannot start and end the server."""
    try:
        yield
    except REFUSED as error:
        print(reason(error), file=sys.stderr, flush=True)
        os.kill(os.getppid(), _FAILED)
        os._exit(1)  # an exception would be logged with its traceback


async def end_with_supervisor() -> None:
    """In a worker: end as if told to, soon after the supervisor is gone."""
    supervisor = os.getppid()
    await _end_unless(lambda: os.getppid() == supervisor, "the supervisor is gone")


async def end_with_engine(works: Callable[[], bool]) -> None:
    """In a worker: end as if told to, soon after its engine has given up."""
    await _end_unless(works, "the engine works no more")


async def _end_unless(fine: Callable[[], bool], reason: str) -> None:
    while fine():
        await asyncio.sleep(_LOOK_S)
    _LOG.error("%s; this worker ends", reason)
    os.kill(os.getpid(), signal.SIGTERM)
