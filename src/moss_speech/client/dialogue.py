"""What a client sees of a conversation: turns with their moments, and a listener who plays them.

All moments are seconds of the monotonic clock.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from moss_speech.client.feed import Feed
from moss_speech.client.line import RATE_HZ, Event

PCM_BYTES = 2
"""Of a sample."""


RESERVE_S = 0.1
"""The listener begins once so much has come, as the service's page does."""


@dataclass
class Playback:
    """A listener: plays what has come without a pause, as long as there is some."""

    begins_s: float | None = None
    ends_s: float = 0.0
    """When all that has come will have been played."""
    n_late: int = 0
    late_s: float = 0.0
    waiting_s: float = 0.0
    """Length of the sound that has come before the listener begins."""

    def take(self, seconds: float, now_s: float) -> None:
        """More sound has come; if that before it has run out, it is late."""
        if self.begins_s is None:
            self.waiting_s += seconds
            if self.waiting_s >= RESERVE_S:
                self._begin(now_s)
            return
        if self.ends_s < now_s:
            self.n_late += 1
            self.late_s += now_s - self.ends_s
        self.ends_s = max(self.ends_s, now_s) + seconds

    def end(self, now_s: float) -> None:
        """No more sound will come."""
        if self.begins_s is None and self.waiting_s:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        self.begins_s, self.ends_s = now_s, now_s + self.waiting_s


@dataclass
class Question:
    """What the user said."""

    speech_end_s: float = 0.0
    """Its last loud sample was sent."""
    end_s: float = 0.0
    """Its last sample was sent before a commit, or `speech_stopped` came."""
    lasts_s: float = 0.0
    """Its length; as the service found it, with its silence."""
    item_id: str | None = None


@dataclass
class Turn:
    """A question and its answer."""

    question: Question
    onset_s: float | None = None
    """Somebody began to speak into the answer."""
    quiet_s: float | None = None
    """The service told of that, so the client stops to play."""
    first_s: float | None = None
    last_s: float | None = None
    playback: Playback = field(default_factory=Playback)
    audio: bytearray = field(default_factory=bytearray)
    text: str = ""
    item_id: str | None = None
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

    def to_json(self) -> dict[str, Any]:
        """What programs may want to know of it; latencies are those of the first piece."""
        asked, answer = self.question, self.response.get("metadata") or {}
        first_s = self.first_s
        return {
            "status": self.response["status"],
            "question_item_id": asked.item_id,
            "response_id": self.response["id"],
            "answer_item_id": self.item_id,
            "question_s": round(asked.lasts_s, 3),
            "audio_s": round(self.audio_s, 3),
            "text": self.text,
            "from_speech_end_s": None
            if first_s is None
            else round(first_s - asked.speech_end_s, 3),
            "from_turn_end_s": None if first_s is None else round(first_s - asked.end_s, 3),
            "underruns": self.playback.n_late,
            "model_version": answer.get("moss.version"),
            "model_digest": answer.get("moss.digest"),
        }

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
            self.playback.end(now_s)
            return b""
        else:
            return b""
        self.item_id = event["item_id"]
        self.first_s = self.first_s or now_s
        self.last_s = now_s
        return sound


class Dialogue:
    """Follows the service's events."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.turns: list[Turn] = []
        self.speaking = self._owed = False
        self._question = Question()
        self._begin_ms, self._n_asked = 0, 0

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks and no answer is under way or owed."""
        return not self.speaking and not self._owed and all(t.over for t in self.turns[-1:])

    def asked(self) -> None:
        """The client ends its turn after what was sent until now, and wants an answer."""
        feed, self._owed = self._feed, True
        lasts_s = (feed.n_sent - self._n_asked) / RATE_HZ
        self._question, self._n_asked = Question(feed.loud_s, feed.last_s, lasts_s), feed.n_sent

    def take(self, event: Event, now_s: float) -> bytes:
        """An event came; the sound in it."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self.speaking, self._begin_ms = True, event["audio_start_ms"]
                self._interrupted(now_s)
            case "input_audio_buffer.speech_stopped":
                self.speaking, self._owed = False, True
                lasts_s = (event["audio_end_ms"] - self._begin_ms) / 1000
                self._question = Question(self._feed.loud_s, now_s, lasts_s)
            case "input_audio_buffer.committed":
                self._question.item_id = event["item_id"]
            case "response.created":
                self._owed = False
                self.turns.append(Turn(self._question, response=event["response"]))
            case _ if self.turns:
                return self.turns[-1].take(event, now_s)
        return b""

    def _interrupted(self, now_s: float) -> None:
        for turn in self.turns[-1:]:
            if turn.first_s is not None and turn.playback.ends_s > self._feed.onset_s:
                turn.onset_s, turn.quiet_s = self._feed.onset_s, now_s
