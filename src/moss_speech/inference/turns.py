"""What goes into a conversation and what comes out: turns, wishes, events, replies.

Shapes: S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

from moss_speech.audio import Samples
from moss_speech.lm.sampling import Sampling

Role = Literal["system", "user", "assistant"]
Output = Literal["text", "audio"]
Finish = Literal["stop", "length", "cancelled"]
Asked = Literal["hear", "commit", "respond"]


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
class Detection:
    """How the server finds the user's turns."""

    threshold: float = 0.5
    """Probability of speech from which somebody speaks."""
    prefix_padding_ms: int = 300
    """Audio before the first word that belongs to the turn."""
    silence_duration_ms: int = 500
    """Silence that ends the turn."""


@dataclass(frozen=True)
class Wish:
    """How an answer is wanted."""

    output: Output
    sampling: Sampling
    seed: int
    max_rows: int
    voice: str
    live: bool = True
    """True if it is played while it is made: then it is made no faster than is of use."""
    drop_oldest: bool = False
    """True leaves the oldest turns out of a conversation that is too long, instead of refusing."""


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
    read_s: float
    """The conversation is read: the first row of the answer is drawn."""
    first_s: float
    """The first audio, or text, of the answer is out."""
    total_s: float

    def after(self, heard_s: float) -> "Timings":
        """The same figures when hearing took so long before."""
        later = (heard_s + seconds for seconds in (self.read_s, self.first_s, self.total_s))
        return Timings(heard_s, *later)


@dataclass(frozen=True)
class Reply:
    """A whole answer; `audio` is empty for an answer in text, `text` for one in speech."""

    text: str
    codes: tuple[int, ...]
    audio: Samples
    sample_rate_hz: int
    finish: Finish
    usage: Usage
    timings: Timings

    @property
    def audio_s(self) -> float:
        """Length of the spoken answer."""
        return self.audio.size / self.sample_rate_hz

    def at(self, timings: Timings) -> "Reply":
        """The same answer with its timings."""
        return replace(self, timings=timings)


class Choices(TypedDict, total=False):
    """What may be chosen about an answer; what is left out follows the bundle."""

    sampling: Sampling
    seed: int | None
    max_rows: int | None
    voice: str | None


@dataclass(frozen=True)
class SpeechStarted:
    """The user began to speak; the turn's audio begins `at_ms` after the conversation's."""

    at_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """The user has been silent for long enough; `at_ms` is where that was known."""

    at_ms: int


@dataclass(frozen=True)
class Heard:
    """What was heard became a turn of the user."""

    codes: tuple[int, ...]
    begin_ms: int
    duration_ms: int


@dataclass(frozen=True)
class Refused:
    """Something asked of a conversation cannot be done; the conversation goes on."""

    what: Asked
    code: str
    message: str


@dataclass(frozen=True)
class Failed:
    """The engine failed; the conversation is over."""

    reason: str


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
"""Of an answer under way."""
LiveEvent = SpeechStarted | SpeechStopped | Heard | Refused | Failed | Event
"""Of a conversation."""
