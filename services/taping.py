"""What one conversation hears and says, turn by turn, on its way to the recorder.

Shapes: S samples.
"""

from collections import deque

import numpy as np

from moss_speech.audio import Samples
from moss_speech.inference.turns import Finished, Heard, LiveEvent, Turn
from services.access.callers import Caller
from services.ids import Ids, bound
from services.recording import RecordedTurn, Recorder, Sound
from services.served import ModelInfo

MAX_S = 60
"""Sound that waits for the end of its turn; a turn with its silence is shorter."""


class Taping:
    """Its conversation tells it what the client does and every event in order."""

    def __init__(self, recorder: Recorder, caller: Caller, model: ModelInfo) -> None:
        self._recorder, self._caller, self._model = recorder, caller, model
        self._rate_hz, self._begin_ms, self._end_ms = 0, 0.0, 0.0
        self._tape: deque[Samples] = deque()
        self._heard: list[Samples] = []
        self._ids: Ids = {}
        self._question: Sound | str | None = None

    def listen(self, rate_hz: int) -> None:
        """The rate of the sound that follows; what was heard at another one is given up."""
        if rate_hz != self._rate_hz:
            self._rate_hz, self._begin_ms = rate_hz, self._end_ms
            self._tape.clear()
            self._heard.clear()

    def hear(self, samples_S: Samples) -> None:
        """Sound of the client."""
        self._tape.append(samples_S)
        self._end_ms += self._ms(samples_S)
        while self._end_ms - self._begin_ms - self._ms(self._tape[0]) > 1000 * MAX_S:
            self._begin_ms += self._ms(self._tape.popleft())

    def _ms(self, samples_S: Samples) -> float:
        return 1000 * samples_S.size / self._rate_hz

    def _cut(self, begin_ms: int, end_ms: int) -> Samples:
        if not self._tape:
            return np.zeros(0, np.float32)
        begin, end = (
            max(0, round((at_ms - self._begin_ms) * self._rate_hz / 1000))
            for at_ms in (begin_ms, end_ms)
        )
        return np.concatenate(self._tape)[begin:end]

    def asked(self, turns: tuple[Turn, ...]) -> None:
        """An answer to what was heard since the last one, or else to the last text."""
        self._ids = bound()
        texts = [turn.text for turn in turns if turn.role == "user" and turn.text is not None]
        if self._heard:
            self._question = Sound(np.concatenate(self._heard), self._rate_hz)
        else:
            self._question = texts[-1] if texts else None
        self._heard.clear()

    def saw(self, event: LiveEvent) -> None:
        """An event on its way to the client."""
        if isinstance(event, Heard):
            self._heard.append(self._cut(event.begin_ms, event.begin_ms + event.duration_ms))
        elif isinstance(event, Finished):
            reply = event.reply
            said = Sound(reply.audio, reply.sample_rate_hz) if reply.audio.size else reply.text
            self._recorder.turn(
                RecordedTurn(
                    self._ids, self._caller, self._model, reply.finish, self._question, said
                )
            )
