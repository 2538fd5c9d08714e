"""One answer under way: rows of the language model in, pieces of sound or text out.

Shapes: T grid rows, C channels, S samples.
"""

import numpy as np

from moss_speech.audio import Samples
from moss_speech.bundle import Bundle
from moss_speech.inference.mouths import Mouth
from moss_speech.inference.observer import Observer
from moss_speech.inference.replies import Clock, reply_of
from moss_speech.inference.turns import AudioDelta, Finish, Finished, TextDelta, Wish
from moss_speech.lm.batch import NewRow, Request

LEAD_S = 2.0
"""A live answer is made no further ahead of its playback than this."""
RESERVE_S = 0.1
"""Players begin once so much has come; the first piece may be shorter, then nothing is late yet."""
_FIRST_S, _WHOLE_S = 0.3, 30.0
"""When the first piece of a live answer is due, and all of one that is not live."""
_NEXT_TEXT_S = 0.2


class Answer:
    """It is due when its listener has nothing left to hear."""

    def __init__(
        self, bundle: Bundle, observer: Observer, wish: Wish, request: Request, mouth: Mouth | None
    ) -> None:
        self._bundle, self._observer = bundle, observer
        self.wish, self.request, self.mouth = wish, request, mouth
        self._clock = Clock()
        self.due_s = self._clock.started + (_FIRST_S if wish.live else _WHOLE_S)
        """On the monotonic clock."""
        self._rate_hz = bundle.decoder.format.sample_rate_hz
        self._code_s = 1 / bundle.decoder.format.codes_per_s
        self._speaking, self._n_samples = True, 0
        self._pieces: list[Samples] = []
        self._ids: list[int] = []
        self._said = ""

    @property
    def waits(self) -> bool:
        """Whether nothing of it is out."""
        return self._clock.first_s is None

    @property
    def late_s(self) -> float:
        """For how long who listens has had nothing to hear; 0 if there is something, or nobody."""
        if not self.wish.live or self._n_samples < RESERVE_S * self._rate_hz:
            return 0.0
        return max(0.0, self._clock.started + self._clock.elapsed_s() - self.due_s)

    def is_ahead(self, now_s: float) -> bool:
        """Whether enough is there for now: codes not yet spoken count as well."""
        if self.mouth is None or not self.wish.live or self.waits:
            return False
        unsaid_s = self.mouth.stream.n_codes * self._code_s - self._n_samples / self._rate_hz
        return self.due_s + unsaid_s - now_s > LEAD_S

    @property
    def is_spoken(self) -> bool:
        """Whether no row and no sound is missing."""
        if self.mouth is None:
            return self.request.reply.done
        stream, per_code = self.mouth.stream, self._bundle.decoder.format.samples_per_code
        return self.request.reply.done and stream.n_said == stream.n_codes * per_code

    def take(self, row: NewRow) -> TextDelta | None:
        """One more row; text that follows from it."""
        self._clock.read()
        if self.mouth is None:
            return self._text(row)
        stream = self.mouth.stream
        if self._speaking and row.is_code:
            stream.push([row.audio])
        if self._speaking and (row.last or not row.is_code):
            self._speaking = False
            stream.end()
        return None

    def say(self, samples_S: Samples) -> AudioDelta | None:
        """Sound that the decoder has made."""
        if not samples_S.size:
            return None
        now_s = self._clock.started + self._clock.elapsed_s()
        if self.waits:
            self._clock.first()
            self._observer.first_audio(self._clock.timings().first_s)
            self.due_s = now_s
        elif (late_s := self.late_s) > 0:
            self._observer.underrun(late_s)
        self._pieces.append(samples_S)
        self._n_samples += samples_S.size
        if self.wish.live:
            self.due_s = max(self.due_s, now_s) + samples_S.size / self._rate_hz
        return AudioDelta(samples_S)

    def finished(self, finish: Finish | None = None) -> Finished:
        """The last event, of what was made until now."""
        audio_S = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        reply = reply_of(
            self._bundle,
            self.wish.output,
            self.request.prompt_TC,
            self.request.finish(),
            audio_S,
            self._clock.timings(),
            finish,
        )
        self._observer.finished(reply.finish, reply.audio_s, reply.timings.total_s)
        return Finished(reply)

    def _text(self, row: NewRow) -> TextDelta | None:
        """Text as far as its bytes are whole characters."""
        if row.text == self._bundle.lm.config.ids.modality_pad:
            return None
        self._ids.append(row.text)
        text = self._bundle.tokenizer.decode(self._ids)
        if text == self._said or (text.endswith("\ufffd") and not row.last):
            return None
        new, self._said = text[len(self._said) :], text
        self._clock.first()
        self.due_s = self._clock.started + self._clock.elapsed_s() + _NEXT_TEXT_S
        return TextDelta(new)
