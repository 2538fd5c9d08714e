"""What a client sees of a conversation: turns with their moments, and a listener who plays them.

All moments are seconds of the monotonic clock.
"""

import base64
from dataclasses import dataclass, field

from moss_speech.client.feed import Feed
from moss_speech.client.line import RATE_HZ, Event

PCM_BYTES = 2
"""Of a sample."""


@dataclass
class Playback:
    """A listener without any reserve: sound is played from the moment when it comes."""

    ends_s: float = 0.0
    """When all that has come will have been played."""
    n_late: int = 0
    late_s: float = 0.0

    def take(self, seconds: float, now_s: float) -> None:
        """More sound has come; if that before it has run out, it is late."""
        if 0 < self.ends_s < now_s:
            self.n_late += 1
            self.late_s += now_s - self.ends_s
        self.ends_s = max(self.ends_s, now_s) + seconds


@dataclass
class Turn:
    """A question and its answer."""

    speech_end_s: float
    """The last loud sample of the question was sent."""
    turn_end_s: float
    """Its last sample was sent before a commit, or `speech_stopped` came."""
    onset_s: float | None = None
    """Somebody began to speak into the answer."""
    quiet_s: float | None = None
    """The service told of that, so the client stops to play."""
    first_s: float | None = None
    last_s: float | None = None
    playback: Playback = field(default_factory=Playback)
    audio: bytearray = field(default_factory=bytearray)
    text: str = ""
    response: Event = field(default_factory=dict)
    """As it was created, and then as it ended."""

    @property
    def audio_s(self) -> float:
        """Length of the sound that came."""
        return len(self.audio) / PCM_BYTES / RATE_HZ

    @property
    def over(self) -> bool:
        """Whether the answer has ended."""
        return bool(self.response.get("status") not in (None, "in_progress"))

    @property
    def silence_s(self) -> float | None:
        """Seconds from the onset of an interruption until nothing of the answer sounds or comes."""
        if self.onset_s is None or self.quiet_s is None or self.last_s is None:
            return None
        return max(self.quiet_s, self.last_s) - self.onset_s

    def take(self, event: Event, now_s: float) -> bytes:
        """A piece of the answer, or its end; the sound in it."""
        sound = b""
        if event["type"] == "response.output_audio.delta":
            sound = base64.b64decode(event["delta"])
            self.audio += sound
            self.playback.take(len(sound) / PCM_BYTES / RATE_HZ, now_s)
        elif event["type"] == "response.output_text.delta":
            self.text += event["delta"]
        elif event["type"] == "response.done":
            self.response = event["response"]
            return b""
        else:
            return b""
        self.first_s = self.first_s or now_s
        self.last_s = now_s
        return sound


class Dialogue:
    """Follows the service's events."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.turns: list[Turn] = []
        self.speaking = self._owed = False
        self._ended = (0.0, 0.0)

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks and no answer is under way or owed."""
        return not self.speaking and not self._owed and all(t.over for t in self.turns[-1:])

    def asked(self) -> None:
        """The client ends its turn after what was sent until now, and wants an answer."""
        self._ended, self._owed = (self._feed.loud_s, self._feed.last_s), True

    def take(self, event: Event, now_s: float) -> bytes:
        """An event came; the sound in it."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self.speaking = True
                self._interrupted(now_s)
            case "input_audio_buffer.speech_stopped":
                self.speaking, self._owed = False, True
                self._ended = (self._feed.loud_s, now_s)
            case "response.created":
                self._owed = False
                self.turns.append(Turn(*self._ended, response=event["response"]))
            case _ if self.turns:
                return self.turns[-1].take(event, now_s)
        return b""

    def _interrupted(self, now_s: float) -> None:
        for turn in self.turns[-1:]:
            if turn.first_s is not None and turn.playback.ends_s > self._feed.onset_s:
                turn.onset_s, turn.quiet_s = self._feed.onset_s, now_s
