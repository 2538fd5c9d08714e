"""All conversations of a process side by side: each call of `tick` does the most urgent work.

Every tick listens to everybody for a moment, then makes one call of the decoder or of the
language model: the one whose listener would first run out of sound. A call serves all who are
ready for it, whoever made it urgent. One thread calls `tick`; others only `post`.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moss_speech.bundle import Bundle
from moss_speech.inference.answer import Answer
from moss_speech.inference.load import Load
from moss_speech.inference.mouths import AnyRoom, Mouths
from moss_speech.inference.observer import SILENT, Kind, Observer
from moss_speech.inference.questions import LIMITS, Limits
from moss_speech.inference.session import Session, Sink
from moss_speech.inference.turns import Failed
from moss_speech.lm.batch import Batch
from moss_speech.lm.slots import EAGER, Decoding

_MUCH_S = 0.5
"""Sound that waits to be heard: more than that was not sent as it was said."""


@dataclass(frozen=True)
class Space:
    """Room for conversations."""

    sessions: int = 16
    rows: int = 2048
    """Rows of the grid that a conversation may have, or as many as the model has positions."""
    mouths: int = 4
    """Answers in one voice that a call of the decoder speaks for; more open another room."""


class Scheduler:
    """Conversations with one model."""

    def __init__(
        self,
        bundle: Bundle,
        space: Space,
        *,
        limits: Limits = LIMITS,
        decoding: Decoding = EAGER,
        observer: Observer = SILENT,
    ) -> None:
        capacity = min(space.rows, bundle.lm.config.max_position_embeddings)
        self._bundle, self._limits = bundle, limits
        self._observer, self.load = observer, Load()
        self._batch = Batch(bundle.lm, space.sessions, capacity, decoding)
        self._mouths = Mouths(bundle.decoder, min(space.mouths, space.sessions))
        self._sessions: list[Session] = []
        self._posted: deque[Callable[[], None]] = deque()
        self._n_waiting = self._n_ticks = 0

    @property
    def session_bytes(self) -> int:
        """Memory that the language model sets aside for one conversation."""
        return self._batch.slot_bytes

    @property
    def is_busy(self) -> bool:
        """Whether any answer is under way."""
        return any(s.answer is not None for s in self._sessions)

    def post(self, call: Callable[..., Any], *args: Any) -> None:
        """Have the next tick make a call; from any thread, in order."""
        self._posted.append(lambda: call(*args))

    def open(self, sink: Sink) -> Session:
        """Begin a conversation; `ValueError` if there is no room."""
        session = Session(
            self._bundle, self._limits, self._batch, self._mouths, self._observer, sink
        )
        self._sessions.append(session)
        self._observer.session(1)
        return session

    def tick(self) -> bool:
        """Do a little work; False if there was none."""
        self._make_posted()
        self._forget_closed()
        self._count_waiting()
        listened = [self._listen(s) for s in self._listeners()]
        read = [self._read(s) for s in self._sessions]
        return any([self._compute(), *listened, *read])

    def fail(self, reason: str) -> None:
        """End every conversation: what they share may be broken."""
        for session in self._sessions:
            session.sink(Failed(reason))
            session.close()
        self._forget_closed()

    def close(self) -> None:
        """End what is left of the conversations, after the calls that were posted."""
        self._make_posted()
        for session in self._sessions:
            session.close()
        self._forget_closed()
        self._count_waiting()

    def _make_posted(self) -> None:
        while self._posted:
            self._posted.popleft()()

    def _forget_closed(self) -> None:
        closed = [s for s in self._sessions if s.closed]
        for session in closed:
            self._sessions.remove(session)
            self._observer.session(-1)

    def _count_waiting(self) -> None:
        n_waiting = sum(s.answer is not None and s.answer.waits for s in self._sessions)
        if n_waiting != self._n_waiting:
            self._observer.waiting(n_waiting - self._n_waiting)
            self._n_waiting = n_waiting

    def _listeners(self) -> list[Session]:
        """Whoever has sound to hear, but only one of those with much: theirs is no live sound."""
        busy = [s for s in self._sessions if s.ear.busy]
        much = [s for s in busy if s.ear.waiting_s > _MUCH_S]
        self._n_ticks += 1
        return [s for s in busy if s not in much] + much[self._n_ticks % max(1, len(much)) :][:1]

    def _listen(self, session: Session) -> bool:
        began_s = time.monotonic()
        session.listened()
        self._worked("listen", began_s, 1)
        return True

    def _read(self, session: Session) -> bool:
        began_s = time.monotonic()
        if not session.read_ahead():
            return False
        self._worked("read", began_s, 1)
        return True

    def _compute(self) -> bool:
        """One call of the decoder or of the language model."""
        now_s = time.monotonic()
        answers = {s.answer: s for s in self._sessions if s.answer is not None}
        thinking = [a for a in answers if not a.request.reply.done and not a.is_ahead(now_s)]
        rooms = [(self._due_s(room, answers), room) for room in self._mouths.rooms()]
        due_s, room = min(rooms, key=lambda pair: pair[0], default=(float("inf"), None))
        if room is not None and due_s <= min((a.due_s for a in thinking), default=float("inf")):
            if due_s == float("inf"):
                return False
            self._speak(room, answers)
            return True
        if thinking:
            self._think(thinking, answers)
        return bool(thinking)

    @staticmethod
    def _due_s(room: AnyRoom, answers: dict[Answer, Session]) -> float:
        ready = set(room.ready)
        dues = [a.due_s for a in answers if a.mouth is not None and a.mouth.stream in ready]
        return min(dues, default=float("inf"))

    def _speak(self, room: AnyRoom, answers: dict[Answer, Session]) -> None:
        began_s = time.monotonic()
        by_stream = {a.mouth.stream: s for a, s in answers.items() if a.mouth is not None}
        said = room.advance()
        live = any(a.wish.live for a in answers if a.mouth is not None and a.mouth.stream in said)
        self._worked("speak", began_s, len(said), live)
        for stream, samples_S in said.items():
            if by_stream[stream].say(samples_S):
                self.load.late()

    def _think(self, thinking: list[Answer], answers: dict[Answer, Session]) -> None:
        began_s = time.monotonic()
        by_request = {a.request: s for a, s in answers.items()}
        paused = [a.request for a in answers if a not in thinking]
        new = self._batch.step(paused=paused)
        self._worked("think", began_s, len(thinking), any(a.wish.live for a in thinking))
        for request, row in new:
            by_request[request].take(row)

    def _worked(self, kind: Kind, began_s: float, batch: int, live: bool = True) -> None:
        seconds = time.monotonic() - began_s
        if live:
            self.load.add(seconds)
        self._observer.engine_step(kind, seconds, batch)
