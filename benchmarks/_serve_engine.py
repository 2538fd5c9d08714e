"""What the engine costs on top of the model: both timed in one run, in this process.

The engine's own scheduler answers conversations, ticked here without a thread. The model's calls
inside it are timed from outside: everything else in a tick is overhead.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from moss_speech.audio import Samples
from moss_speech.bundle import Bundle
from moss_speech.codec.stream import CodecStream
from moss_speech.decoder.at_once import WholeRoom
from moss_speech.decoder.room import Room
from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Scheduler, Space
from moss_speech.inference.turns import Detection, Finished, Heard, LiveEvent, Turn
from moss_speech.lm.batch import Batch
from moss_speech.registry.fetch import fetch_model
from moss_speech.settings import settings
from moss_speech.speech.vad import VadStream

CALLS = (
    (CodecStream, "push"), (CodecStream, "finish"), (VadStream, "push"), (Batch, "prepare"),
    (Batch, "step"), (Room, "advance"), (WholeRoom, "advance"),
)  # fmt: skip
PIECE_S, RATE_HZ = 0.04, 24000
SILENCE_S = 0.8
"""After the question, so that voice activity finds its end."""


class Stopwatch:
    """Seconds in the model's calls; one call inside another counts once."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    @contextmanager
    def on_the_model(self) -> Iterator[None]:
        """Time the calls meanwhile."""
        kept = [(owner, name, getattr(owner, name)) for owner, name in CALLS]
        for owner, name, method in kept:
            setattr(owner, name, self._timed(method))
        try:
            yield
        finally:
            for owner, name, method in kept:
                setattr(owner, name, method)

    def _timed(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began_s, self._depth = time.perf_counter(), self._depth + 1
            try:
                return method(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - began_s

        return call


class Client:
    """One conversation: asks aloud, and for an answer once it is heard."""

    def __init__(self, engine: Engine, scheduler: Scheduler) -> None:
        self._wish = replace(engine.wish(seed=1), live=False)
        self.over = False
        self.session = scheduler.open(self._take)
        self.session.listen(RATE_HZ, Detection())
        self.session.remember((), "audio")
        self._scheduler = scheduler

    def _take(self, event: LiveEvent) -> None:
        if isinstance(event, Heard):
            turn = Turn("user", codes=event.codes)
            self._scheduler.post(self.session.respond, [turn], self._wish)
        self.over = self.over or isinstance(event, Finished)


def answered(engine: Engine, question_S: Samples, n: int) -> float:
    """Overhead of answering one question in `n` conversations, as a part of the model's time."""
    scheduler, watch = engine.scheduler(Space(sessions=n)), Stopwatch()
    clients = [Client(engine, scheduler) for _ in range(n)]
    sound_S = np.pad(question_S, (0, int(SILENCE_S * RATE_HZ)))
    size = int(PIECE_S * RATE_HZ)
    waiting = [sound_S[start : start + size] for start in range(0, sound_S.size, size)]
    ticks_s = 0.0
    with watch.on_the_model():
        while not all(client.over for client in clients):
            for client in clients if waiting else ():
                scheduler.post(client.session.hear, waiting[0])
            waiting = waiting[1:]
            began_s = time.perf_counter()
            worked = scheduler.tick()
            ticks_s += time.perf_counter() - began_s
            if not worked and not waiting:
                raise RuntimeError("voice activity did not find the question's end")
    for client in clients:
        client.session.close()
    return (ticks_s - watch.seconds) / watch.seconds


def overheads(question_S: Samples, n: int, rounds: int) -> list[float]:
    """The overhead in several rounds."""
    torch.set_num_threads(settings().threads)
    engine = Engine(Bundle.open(fetch_model(settings().model)))
    return [answered(engine, question_S, n) for _ in range(rounds + 1)][1:]
