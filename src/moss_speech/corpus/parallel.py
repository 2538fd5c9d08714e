"""The same function over many blocks of work, in processes of one thread each."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

B = TypeVar("B")
R = TypeVar("R")


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)
    torch.set_num_threads(1)


def over_blocks(function: Callable[[B], R], blocks: Iterable[B], processes: int) -> Iterator[R]:
    """Results as they come; their order depends on the processes, their content must not.

    `function` and blocks must be picklable. The first error ends the work.
    """
    if processes == 1:
        yield from map(function, blocks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        tasks = [pool.submit(function, block) for block in blocks]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
