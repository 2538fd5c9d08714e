"""The thread that computes: it ticks a scheduler while there is work, else it sleeps."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from moss_speech.inference.scheduler import Scheduler
from moss_speech.inference.session import Session, Sink

_LOG = logging.getLogger(__name__)
_DOZE_S = 0.01
"""Sleep while all answers are ahead of their playback."""
_GIVE_UP = 3
"""After so many failures with no work done between them it is not the conversations that fail."""


P = ParamSpec("P")


class Worker:
    """A scheduler with a thread of its own; every method may be called from any thread."""

    def __init__(self, scheduler: Scheduler, name: str = "engine") -> None:
        self.scheduler = scheduler
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, call: Callable[..., Any], *args: Any) -> None:
        """Have the engine's thread make a call; calls are made in order."""
        self.scheduler.post(call, *args)
        self._wake.set()

    def open(self, sink: Sink) -> "Line":
        """Begin a conversation; the caller knows that there is room."""
        return Line(self, sink)

    @property
    def works(self) -> bool:
        """Whether the thread has not given up, as it does where nothing works any more."""
        return self._stopping or self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after the tick under way; conversations are dropped."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        n_failures = 0
        while not self._stopping and n_failures < _GIVE_UP:
            self._wake.clear()
            try:
                worked = self.scheduler.tick()
                n_failures = 0 if worked else n_failures
            except Exception as error:
                _LOG.exception("the engine failed; all its conversations end")
                self.scheduler.fail(f"{type(error).__name__} in the engine")
                worked = True
                n_failures += 1
            if not worked:
                self._wake.wait(_DOZE_S if self.scheduler.is_busy else None)
        self.scheduler.close()  # a conversation that left just now is counted too


class Line:
    """A conversation as other threads see it: calls reach it in order."""

    def __init__(self, worker: Worker, sink: Sink) -> None:
        self._worker = worker
        self._session: Session | None = None
        worker.post(self._begin, sink)

    def _begin(self, sink: Sink) -> None:
        self._session = self._worker.scheduler.open(sink)

    def call(
        self, method: Callable[Concatenate[Session, P], None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Have the engine's thread call a method of the session, unless that has ended."""

        def made() -> None:
            if self._session is not None and not self._session.closed:
                method(self._session, *args, **kwargs)

        self._worker.post(made)

    @property
    def unheard_s(self) -> float:
        """Sound that waits to be heard."""
        return 0.0 if self._session is None else self._session.ear.waiting_s

    def close(self) -> None:
        """End the conversation."""
        self.call(Session.close)
