"""One model in this process: what is known of it, the thread that computes, its conversations."""

from dataclasses import dataclass

from moss_speech.inference.engine import Engine
from moss_speech.inference.observer import Observer
from moss_speech.inference.scheduler import Space
from moss_speech.inference.session import Sink
from moss_speech.inference.worker import Line, Worker


@dataclass(frozen=True)
class ModelInfo:
    """Which model answers: its name and version in the registry and the digest it has there.

    A plain folder has the digest of its card.
    """

    name: str
    version: str
    digest: str


class Served:
    """Belongs to the event loop; `open` and `leave` count the conversations."""

    def __init__(self, engine: Engine, info: ModelInfo, space: Space, observer: Observer) -> None:
        self.engine, self.info = engine, info
        self.n_open, self.n_places = 0, space.sessions
        self._worker = Worker(engine.scheduler(space, observer))

    @property
    def session_bytes(self) -> int:
        """Memory set aside for one conversation."""
        return self._worker.scheduler.session_bytes

    @property
    def retry_after_s(self) -> float:
        """Seconds after which one conversation more may begin; 0 if it may now."""
        if self.n_open >= self.n_places:
            return 1.0
        return self._worker.scheduler.load.retry_after_s if self.n_open else 0.0

    def open(self, sink: Sink) -> Line:
        """Begin a conversation; there must be a place."""
        assert self.n_open < self.n_places
        self.n_open += 1
        return self._worker.open(sink)

    def leave(self, line: Line) -> None:
        """End a conversation and free its place."""
        self.n_open -= 1
        line.close()

    @property
    def works(self) -> bool:
        """Whether its thread has not given up."""
        return self._worker.works

    def stop(self) -> None:
        """End the thread; whatever is under way is dropped."""
        self._worker.stop()
