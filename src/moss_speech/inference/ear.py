"""What one conversation hears: sound in pieces of any size to turns of codes.

Turns are found by voice activity, or begin and end when the client says so. Work is done piece
by piece, so that no listener holds up the others for long.
Positions count samples at the codec's rate that were heard since the conversation began; what is
told in milliseconds counts those as well that were forgotten or refused before. Shapes: S samples.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from moss_speech.audio import Resampler, Samples, resample
from moss_speech.codec.features import loudness
from moss_speech.codec.model import Codec
from moss_speech.codec.stream import TYPICAL_LOUDNESS, CodecStream
from moss_speech.inference.questions import Limits, check_length, check_likely_speech
from moss_speech.inference.turns import (
    Detection,
    Heard,
    LiveEvent,
    QuestionError,
    Refused,
    SpeechStarted,
    SpeechStopped,
)
from moss_speech.speech.vad import WINDOW_SAMPLES, VadStream

_PIECE_S = 0.32
"""Audio that is worked on in one go."""
_STARTS, _OF_LAST = 3, 4
"""Windows of 32 ms with speech, of so many, that begin a turn: shorter than the shortest word."""
_DROP = 0.15
"""Speech ends so far below the threshold at which it begins."""
_TAIL_MS = 200
"""Silence that stays at the end of a turn that was found; the rest of it is no speech."""


@dataclass(frozen=True)
class _End:
    """The client ends its turn here."""


class _Turn:
    """The turn that is being heard."""

    def __init__(self, codec: Codec, begin: int, loud: list[float]) -> None:
        self.begin, self.n_samples = begin, 0
        self.codes: list[int] = []
        self.likely: list[float] = []
        """Probability of speech in each window."""
        self._stream, self._form = CodecStream(codec, loud), codec.config.audio_format
        self._held_S = np.zeros(0, np.float32)
        self._piece_samples = int(_PIECE_S * self._form.sample_rate_hz)

    def push(self, samples_S: Samples) -> None:
        """More sound; a whole piece at a time is encoded, four codes for the price of two."""
        self.n_samples += samples_S.size
        self._held_S = np.concatenate((self._held_S, samples_S))
        if self._held_S.size >= self._piece_samples:
            self._encode()

    def _encode(self) -> None:
        self.codes += self._stream.push(self._held_S).tolist()
        self._held_S = self._held_S[:0]

    def end(self, n_samples: int) -> tuple[int, ...]:
        """Codes of the first so many samples."""
        self._encode()
        n_codes = -(-n_samples // self._form.samples_per_code)
        if len(self.codes) < n_codes:
            self.codes += self._stream.finish().tolist()
        return tuple(self.codes[:n_codes])


class Ear:
    """Sound and commands wait here in order; `work` takes the next piece."""

    def __init__(self, codec: Codec, limits: Limits) -> None:
        self._codec, self._limits = codec, limits
        self._hz = codec.config.audio_format.sample_rate_hz
        self._detection: Detection | None = None
        self._waiting: deque[Samples | _End] = deque()
        self._n_waiting = 0
        self._vad, self._n_windows = VadStream(), 0
        self._recent_S = np.zeros(0, np.float32)
        self._n_heard = self._floor = 0
        """Samples heard, and where the last turn ended."""
        self._n_unheard = self._n_refused = 0
        """Samples that came and were not heard before this turn, and those refused in it."""
        self._turn: _Turn | None = None
        self._likely: deque[float] = deque(maxlen=_OF_LAST)
        self._last_speech = 0
        self._loudness = [TYPICAL_LOUDNESS]
        self.listen(self._hz, None)

    @property
    def busy(self) -> bool:
        """Whether there is work."""
        return bool(self._waiting)

    @property
    def waiting_s(self) -> float:
        """Length of the sound that waits."""
        return self._n_waiting / self._hz

    @property
    def codes(self) -> list[int]:
        """Codes of the turn that is being heard, as far as they are known."""
        return self._turn.codes if self._turn else []

    def listen(self, rate_hz: int, detection: Detection | None) -> None:
        """Set the rate of what follows, and who finds the turns: the client for None."""
        self._resampler = Resampler(rate_hz, self._hz, "the audio")
        self._rate_hz, self._detection = rate_hz, detection

    def hear(self, samples_S: Samples) -> None:
        """Take sound; `QuestionError` if the client's turn would be too long."""
        n_new = samples_S.size * self._hz // self._rate_hz
        n_turn = self._n_waiting + n_new + (self._turn.n_samples if self._turn else 0)
        if self._detection is None and n_turn > self._limits.max_s * self._hz:
            self._n_refused += n_new
            raise QuestionError(
                "audio_too_long",
                f"the turn would last {n_turn / self._hz:.1f} s, must be at most "
                f"{self._limits.max_s:g} s; what was heard before stays",
            )
        if self._rate_hz != self._hz:
            samples_S = self._resampler.push(samples_S, last=False)
        self._put(samples_S)

    def hear_whole(self, samples_S: Samples) -> None:
        """Take a whole turn of the client and end it: its codes are those of `Codec.encode`.

        `QuestionError` if it is too short or too long.
        """
        self.clear()
        try:
            check_length(samples_S.size / self._rate_hz, self._limits)
        except QuestionError:
            self._n_unheard += samples_S.size * self._hz // self._rate_hz
            raise
        samples_S = resample(samples_S, self._rate_hz, self._hz)
        self._loudness = loudness(samples_S, self._codec.config)
        self._put(samples_S)
        self.commit()

    def commit(self) -> None:
        """End the client's turn after what was heard until now."""
        self._waiting.append(_End())

    def clear(self) -> None:
        """Forget the turn that is being heard and all sound that waits."""
        self._n_refused += self._n_waiting
        self._waiting.clear()
        self._n_waiting = 0
        self._drop()

    def work(self) -> list[LiveEvent]:
        """Hear the next piece, or end a turn."""
        if isinstance(self._waiting[0], _End):
            self._waiting.popleft()
            return [self._commit()]
        piece_S = self._piece()
        self._n_waiting -= piece_S.size
        return self._take(piece_S)

    def _piece(self) -> Samples:
        """The sound that waits first; small pieces together, as each costs the same."""
        found, n_missing = [], int(_PIECE_S * self._hz)
        while n_missing and self._waiting and not isinstance(first := self._waiting[0], _End):
            self._waiting.popleft()
            if (rest_S := first[n_missing:]).size:
                self._waiting.appendleft(rest_S)
            found.append(first[:n_missing])
            n_missing -= found[-1].size
        return np.concatenate(found)

    def _put(self, samples_S: Samples) -> None:
        if samples_S.size:
            self._waiting.append(samples_S)
            self._n_waiting += samples_S.size

    def _drop(self) -> None:
        self._turn, self._floor = None, self._n_heard
        self._n_unheard, self._n_refused = self._n_unheard + self._n_refused, 0
        self._likely.clear()
        self._loudness = [TYPICAL_LOUDNESS]

    def _begin(self, begin: int) -> _Turn:
        turn = self._turn = _Turn(self._codec, begin, self._loudness)
        start = begin - (self._n_heard - self._recent_S.size)
        turn.push(self._recent_S[start:])
        return turn

    def _take(self, samples_S: Samples) -> list[LiveEvent]:
        self._n_heard += samples_S.size
        self._recent_S = np.concatenate((self._recent_S, samples_S))
        if self._turn:
            self._turn.push(samples_S)
        elif self._detection is None:
            self._begin(self._n_heard - samples_S.size)
        events: list[LiveEvent] = []
        for likely in self._vad.push(samples_S).tolist():
            self._n_windows += 1
            if self._turn:
                self._turn.likely.append(likely)
            if self._detection:
                events += self._detect(likely, self._detection)
        kept_s = 0 if self._detection is None else self._detection.prefix_padding_ms / 1000
        n_kept = int((kept_s + _PIECE_S) * self._hz) + _OF_LAST * WINDOW_SAMPLES
        self._recent_S = self._recent_S[-n_kept:]
        return events

    def _detect(self, likely: float, how: Detection) -> list[LiveEvent]:
        """Begin or end a turn after one more window."""
        end = self._n_windows * WINDOW_SAMPLES
        if self._turn is None:
            self._likely.append(likely)
            if sum(p >= how.threshold for p in self._likely) < _STARTS:
                return []
            oldest = self._n_heard - self._recent_S.size
            padding = how.prefix_padding_ms * self._hz // 1000
            wanted = end - len(self._likely) * WINDOW_SAMPLES - padding
            turn = self._begin(max(wanted, self._floor, oldest))
            turn.likely += self._likely
            self._last_speech = end
            return [SpeechStarted(self._at_ms(turn.begin))]
        if likely >= how.threshold - _DROP:
            self._last_speech = end
        silent = end - self._last_speech >= how.silence_duration_ms * self._hz // 1000
        longest = int(self._limits.max_s * self._hz) - WINDOW_SAMPLES
        if not silent and end - self._turn.begin <= longest:
            return []
        tail = _TAIL_MS * self._hz // 1000 if silent else end
        return [SpeechStopped(self._at_ms(end)), self._ended(min(end, self._last_speech + tail))]

    def _commit(self) -> LiveEvent:
        if self._turn is None:
            return Refused("commit", "buffer_empty", "the buffer holds no audio, must hold some")
        n_samples = self._turn.n_samples
        try:
            check_length(n_samples / self._hz, self._limits)
            check_likely_speech(np.array(self._turn.likely, np.float32), self._limits)
        except QuestionError as error:
            self._drop()
            return Refused("commit", error.code, str(error))
        return self._ended(self._turn.begin + n_samples)

    def _ended(self, end: int) -> Heard:
        assert self._turn is not None
        turn = self._turn
        codes, begin_ms = turn.end(end - turn.begin), self._at_ms(turn.begin)
        self._drop()
        self._floor = end
        return Heard(codes, begin_ms, 1000 * (end - turn.begin) // self._hz)

    def _at_ms(self, position: int) -> int:
        """Where a position of this turn is in all that the client sent."""
        return 1000 * (position + self._n_unheard) // self._hz
