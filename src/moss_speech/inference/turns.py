"""What goes into a conversation and what comes out: turns, events, replies.

Shapes: S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from moss_speech.audio import Samples

Role = Literal["system", "user", "assistant"]
Output = Literal["text", "audio"]


class QuestionError(ValueError):
    """A turn that cannot be answered; `code` names the reason for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Turn:
    """One side's contribution: text, or audio with its rate, or codes already heard or said."""

    role: Role
    text: str | None = None
    audio: Samples | None = None
    sample_rate_hz: int | None = None
    codes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = [n for n in ("text", "audio", "codes") if getattr(self, n) is not None]
        if len(given) != 1:
            held = " and ".join(given) or "nothing"
            raise QuestionError("invalid_turn", f"a {self.role} turn holds {held}, must hold one")
        if self.audio is not None and self.sample_rate_hz is None:
            raise QuestionError("invalid_turn", f"a {self.role} turn of audio needs its rate")


Conversation = Sequence[Turn]


@dataclass(frozen=True)
class Usage:
    """Rows of the grid, which is what computing costs; an audio row is 80 ms of speech."""

    prompt_text_rows: int
    prompt_audio_rows: int
    reply_text_rows: int
    reply_audio_rows: int


@dataclass(frozen=True)
class Timings:
    """Seconds since the question was whole."""

    heard_s: float
    """The question's audio is codes."""
    first_s: float
    """The first audio, or text, of the answer is out."""
    total_s: float


@dataclass(frozen=True)
class Reply:
    """A whole answer; `audio` is empty for an answer in text, `text` for one in speech."""

    text: str
    codes: tuple[int, ...]
    audio: Samples
    sample_rate_hz: int
    finish: Literal["stop", "length"]
    usage: Usage
    timings: Timings

    @property
    def audio_s(self) -> float:
        """Length of the spoken answer."""
        return self.audio.size / self.sample_rate_hz

    def at(self, timings: Timings) -> "Reply":
        """The same answer with its timings."""
        return replace(self, timings=timings)


@dataclass(frozen=True)
class TextDelta:
    """The next piece of an answer in text."""

    text: str


@dataclass(frozen=True)
class AudioDelta:
    """The next piece of a spoken answer, float32."""

    samples: Samples


@dataclass(frozen=True)
class Finished:
    """The last event: the whole answer."""

    reply: Reply


Event = TextDelta | AudioDelta | Finished
