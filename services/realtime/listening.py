"""The user's side of a conversation: the audio buffer, and how it becomes items."""

from collections.abc import Callable
from dataclasses import dataclass

from moss_speech.inference.turns import Heard, Refused, SpeechStarted, SpeechStopped
from services.errors import ApiError, invalid
from services.realtime import told
from services.realtime.audio import Tape, WireFormat
from services.realtime.config import Config
from services.realtime.conversation import Conversation, Item, new_id
from services.realtime.told import Tell
from services.talk import Talk

MAX_APPEND_S = 120
"""Sound of one event; the engine bounds what a turn may hold."""
TAPE_MS = 40_000
"""Longer than the longest turn with its silence."""

_CODES = {"buffer_empty": "input_audio_buffer_commit_empty"}


def refusal(event: Refused) -> ApiError:
    """What the engine refuses, as the protocol names it."""
    return invalid(event.message, None, _CODES.get(event.code, event.code))


@dataclass(frozen=True)
class Commit:
    """A turn that the engine was asked to end, and what comes then."""

    event_id: str | None
    then: Callable[[Heard], None]
    aside: bool = False
    """Whether it is a recording that the client wrote into the conversation."""


class Listening:
    """What is heard and not an item yet."""

    def __init__(self, talk: Talk, conversation: Conversation, config: Config, tell: Tell) -> None:
        self._talk, self._conversation, self._tell = talk, conversation, tell
        self._config = config
        self._tape = Tape(config.hears, 0, TAPE_MS)
        self._aside_ms = 0
        self._commit: Commit | None = None
        self._append_id: str | None = None
        self._has_audio = self._is_speaking = False
        self._announced: str | None = None
        """Id of the item that the user speaks; a turn may be on its way that was cleared since."""
        self._stopped = False
        """The user stopped; the codes of the turn are on their way."""
        self._listen()

    @property
    def waiting(self) -> bool:
        """Whether the engine owes the answer to a commit."""
        return self._commit is not None

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks and nothing of the user is on its way."""
        return not (self._is_speaking or self._stopped or self.waiting)

    @property
    def heard_ms(self) -> int:
        """Milliseconds of all audio that the client appended."""
        return self._tape.end_ms - self._aside_ms

    def _listen(self) -> None:
        vad = self._config.vad
        self._talk.listen(self._config.hears.rate_hz, vad.detection if vad else None)

    def configure(self, config: Config) -> None:
        """Follow new settings; another format or turn detection begins with an empty buffer."""
        before, self._config = self._config, config
        if config.hears != before.hears:
            self._tape = Tape(config.hears, self._tape.end_ms, TAPE_MS)
        now, then = (c.vad and c.vad.detection for c in (config, before))
        if config.hears != before.hears or now != then:
            self._is_speaking = self._has_audio = False
            self._talk.clear()
            self._listen()

    def append(self, data: bytes, event_id: str | None) -> None:
        """More audio; `ApiError` for half a sample or too much at once."""
        wire = self._config.hears
        check_audio(data, wire, "audio", MAX_APPEND_S)
        self._append_id = event_id
        self._has_audio = self._has_audio or bool(data)
        if data:
            self._tape.push(data)
            self._talk.hear(wire.read(data))

    def commit(self, event_id: str | None, then: Callable[[Item], None]) -> None:
        """End the user's turn; `then` gets its item."""

        def joined(heard: Heard) -> None:
            then(self._join(self._take_id(), heard))

        self._commit = Commit(event_id, joined)
        self._talk.commit()

    def clear(self) -> None:
        """Forget what was heard."""
        self._talk.clear()
        self._is_speaking = self._has_audio = False
        self._tell(told.cleared())

    def encode(self, data: bytes, event_id: str | None, then: Callable[[Heard], None]) -> None:
        """Codes of a recording, by way of the buffer, which must hold nothing of the user."""
        wire, limits = self._config.hears, self._talk.engine.limits
        check_audio(data, wire, "item.content[0].audio", limits.max_s)
        if self._is_speaking or (self._has_audio and self._config.vad is None):
            reason = "the input audio buffer holds a turn; commit or clear it before adding audio"
            raise invalid(reason, "item.content[0].audio", "input_audio_buffer_not_empty")
        self._aside_ms += len(data) // wire.bytes_per_ms
        self._commit = Commit(event_id, then, aside=True)
        self._tape.push(data)
        self._talk.listen(wire.rate_hz, None)
        self._talk.hear_whole(wire.read(data))

    def started(self, event: SpeechStarted) -> None:
        """The user began to speak."""
        self._announced, self._is_speaking = new_id("item"), True
        self._tell(told.speech("started", max(0, event.at_ms - self._aside_ms), self._announced))

    def stopped(self, event: SpeechStopped) -> None:
        """The user has been silent for long enough; the codes follow."""
        self._announced, self._stopped = self._announced or new_id("item"), True
        self._tell(told.speech("stopped", max(0, event.at_ms - self._aside_ms), self._announced))

    def heard(self, event: Heard) -> Item | None:
        """The item of a turn that voice activity ended; None if a commit did."""
        if not self._stopped:
            if self._commit is not None:  # else it was refused for what came before
                self._committed(self._commit).then(event)
            return None
        self._stopped = False
        return self._join(self._take_id(), event)

    def _take_id(self) -> str:
        """The id of a turn that has ended."""
        item_id, self._announced = self._announced or new_id("item"), None
        self._is_speaking = self._has_audio = False
        return item_id

    def _committed(self, commit: Commit) -> Commit:
        self._commit = None
        if commit.aside:
            self._listen()
        return commit

    def refused(self, event: Refused) -> None:
        """Audio or a turn cannot be used."""
        cause = self._append_id
        if self._commit is not None and (self._commit.aside or event.what == "commit"):
            cause = self._committed(self._commit).event_id
        if event.what == "commit":
            self._take_id()
        self._tell(told.error(refusal(event), cause))

    def idle(self, timeout_ms: int) -> None:
        """Nobody spoke for a while: an item without words takes the place of the user's turn."""
        item_id, end_ms = new_id("item"), self.heard_ms
        self._tell(told.idle(max(0, end_ms - timeout_ms), end_ms, item_id))
        self._join(item_id, Heard((), self._tape.end_ms, 0))

    def _join(self, item_id: str, heard: Heard) -> Item:
        audio = self._tape.cut(heard.begin_ms, heard.duration_ms)
        item = Item(item_id, "user", "input_audio", codes=heard.codes, audio=audio)
        previous = self._conversation.add(item)
        self._tell(told.committed(item_id, previous))
        self._tell(told.item("added", item, previous))
        self._tell(told.item("done", item, previous))
        if self._config.transcripts_awaited:
            self._tell(told.transcribed(item_id, heard.duration_ms / 1000))
        return item


def check_audio(data: bytes, wire: WireFormat, param: str, max_s: float) -> None:
    """`ApiError` for half a sample, or for more sound than one event may hold."""
    if len(data) % wire.sample_bytes:
        reason = f"{param} holds {len(data)} bytes, must hold an even number for {wire.name}"
        raise invalid(reason, param, "audio_odd_bytes")
    duration_s = len(data) / wire.bytes_per_ms / 1000
    if duration_s > max_s:
        reason = f"{param} lasts {duration_s:.1f} s, may last {max_s:g} s"
        raise invalid(reason, param, "audio_too_long")
