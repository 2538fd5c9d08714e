"""Trainings that die in a process of their own, as in a power cut.

Not a bare fork: the tests' process may have run autograd, whose threads a forked child has not,
and a child that fails before its death would go on with the tests.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from typing import ParamSpec

import torch

from moss_speech.records import SilentTracker

FRESH = multiprocessing.get_context("forkserver")
_WAIT_S = 300
P = ParamSpec("P")


class KillAt(SilentTracker):
    """Ends its process at one step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def _alone(work: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    torch.set_num_threads(1)
    work(*arguments, **named)


def die(work: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """Run a function of a module, with one thread, in a process that it must kill."""
    FRESH.set_forkserver_preload(["moss_speech.training.lm"])
    process = FRESH.Process(target=_alone, args=(work, *arguments), kwargs=named)
    process.start()
    process.join(_WAIT_S)
    assert process.exitcode == -signal.SIGKILL, process.exitcode
