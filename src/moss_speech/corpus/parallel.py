"""The same function over many blocks of work, in processes of one thread each."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import TypeVar

B = TypeVar("B")
R = TypeVar("R")
_AHEAD = 3
"""Blocks a process that are drawn before they can begin; the others do not exist yet."""


def _end_with_parent() -> None:
    """A killed parent leaves nobody behind: its workers would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)


def _one_thread() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)
    torch.set_num_threads(1)


def over_blocks(function: Callable[[B], R], blocks: Iterable[B], processes: int) -> Iterator[R]:
    """Results as they come; their order depends on the processes, their content must not.

    Blocks are drawn as they are needed. `function` and blocks must be picklable. The first error
    ends the work.
    """
    if processes == 1:
        yield from map(function, blocks)
        return
    context = multiprocessing.get_context("spawn")
    drawn = iter(blocks)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        running: set[Future[R]] = set()
        try:
            while True:
                free = _AHEAD * processes - len(running)
                running |= {pool.submit(function, block) for block in islice(drawn, free)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (task.result() for task in done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
