"""One answer: what it is asked for, and its events in their order.

Shapes: S samples.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from moss_speech.audio import Samples
from moss_speech.inference.turns import Reply
from services.errors import ApiError
from services.realtime import told
from services.realtime.audio import Speaker
from services.realtime.config import Answering
from services.realtime.conversation import Conversation, Item, new_id
from services.realtime.told import Event, PartEvents, Tell

Cancelled = Literal["turn_detected", "client_cancelled"]
CODE_MS = 80
"""Sound of one code."""


@dataclass(frozen=True)
class Order:
    """How an answer was asked for."""

    answering: Answering
    metadata: dict[str, str]
    joins: bool
    """Whether the answer joins the conversation."""


def usage(reply: Reply) -> Event:
    """Rows of the grid as token counts."""
    rows = reply.usage
    asked = rows.prompt_text_rows + rows.prompt_audio_rows
    said = rows.reply_text_rows + rows.reply_audio_rows
    return {
        "total_tokens": asked + said,
        "input_tokens": asked,
        "output_tokens": said,
        "input_token_details": {
            "text_tokens": rows.prompt_text_rows,
            "audio_tokens": rows.prompt_audio_rows,
            "image_tokens": 0,
            "cached_tokens": 0,
        },
        "output_token_details": {
            "text_tokens": rows.reply_text_rows,
            "audio_tokens": rows.reply_audio_rows,
        },
    }


@dataclass
class Response:
    """An answer on its way; its item appears with the first piece."""

    order: Order
    conversation: Conversation
    tell: Tell
    sample_rate_hz: int
    opening_S: Samples | None = None
    """What sounds before the answer itself."""
    id: str = field(default_factory=lambda: new_id("resp"))
    cancelled: Cancelled | None = None
    failure: ApiError | None = None
    """Why the answer must end early; the engine was told to stop."""
    n_samples: int = 0
    """Sound of the answer that went out, at the engine's rate."""

    def __post_init__(self) -> None:
        self.spoken = self.order.answering.output == "audio"
        kind: Literal["output_audio", "output_text"]
        kind = "output_audio" if self.spoken else "output_text"
        rate = self.order.answering.speaks.bytes_per_ms
        self._item = Item(
            new_id("item"), "assistant", kind, bytes_per_ms=rate, status="in_progress"
        )
        self._part = PartEvents(self.id, self._item.id, self.spoken)
        self._speaker = Speaker(self.order.answering.speaks, self.sample_rate_hz)
        self._open, self._text, self._sound = False, "", bytearray()
        self._previous: str | None = None

    @property
    def ending(self) -> bool:
        """Whether nothing more of it may be sent."""
        return self.cancelled is not None or self.failure is not None

    @property
    def played_ms(self) -> int:
        """Length of the sound that went out."""
        return self._item.lead_ms + self.n_samples * 1000 // self.sample_rate_hz

    @property
    def n_codes(self) -> int:
        """Codes whose sound went out, the last one perhaps in part."""
        return -(-self.n_samples * 1000 // (self.sample_rate_hz * CODE_MS))

    def begin(self) -> None:
        """Announce the answer."""
        self.tell(told.response("created", self._resource("in_progress", None)))

    def _begin_item(self) -> None:
        if self._open:
            return
        self._open = True
        if self.order.joins:
            self._previous = self.conversation.add(self._item)
        self.tell(told.output_item("added", self.id, self._item))
        if self.order.joins:
            self.tell(told.item("added", self._item, self._previous))
        self.tell(self._part.added())
        if self.spoken:
            self.tell(self._part.transcript_delta())

    def say(self, samples_S: Samples, last: bool = False) -> None:
        """Send more sound."""
        self._begin_item()
        self.n_samples += samples_S.size
        if self.opening_S is not None:
            samples_S = np.concatenate((self.opening_S, samples_S))
            self._item.lead_ms = self.opening_S.size * 1000 // self.sample_rate_hz
            self.opening_S = None
        if data := self._speaker.push(samples_S, last):
            self._sound += data
            self.tell(self._part.audio_delta(data))

    def write(self, text: str) -> None:
        """Send more text."""
        self._begin_item()
        self._text += text
        self.tell(self._part.text_delta(text))

    def finish(self, reply: Reply) -> None:
        """The engine is done: end the item with what went out, then the answer."""
        if not self.ending:
            self._begin_item()
        if self._open:
            self._end_item(reply)
        status, details = self._outcome(reply)
        self._end(status, details, usage(reply))

    def refuse(self, error: ApiError) -> None:
        """The engine does not answer at all."""
        self.failure = error
        self._end("failed", self._failed(error), None)

    def _end_item(self, reply: Reply) -> None:
        if self.spoken and not self.ending:
            self.say(reply.audio[:0], last=True)
        self._item.codes = reply.codes[: self.n_codes]
        self._item.audio, self._item.texts = bytes(self._sound), [] if self.spoken else [self._text]
        whole = reply.finish == "stop" and not self.ending
        self._item.status = "completed" if whole else "incomplete"
        if self.spoken:
            self.tell(self._part.audio_done())
            self.tell(self._part.transcript_done())
        else:
            self.tell(self._part.text_done(self._text))
        self.tell(self._part.done(self._text))
        if self.order.joins:
            self.conversation.forget_audio()
            self.tell(told.item("done", self._item, self._previous))
        self.tell(told.output_item("done", self.id, self._item))

    def _outcome(self, reply: Reply) -> tuple[str, Event]:
        if self.failure is not None:
            return "failed", self._failed(self.failure)
        if self.cancelled is not None:
            return "cancelled", {"type": "cancelled", "reason": self.cancelled}
        if reply.finish == "length":
            return "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}
        return "completed", {"type": "completed"}

    @staticmethod
    def _failed(error: ApiError) -> Event:
        body = {"type": error.kind, "code": error.code, "message": told.reason(error)}
        return {"type": "failed", "error": body}

    def _end(self, status: str, details: Event, used: Event | None) -> None:
        resource = self._resource(status, details) | {"usage": used}
        self.tell(told.response("done", resource))

    def _resource(self, status: str, details: Event | None) -> dict[str, Any]:
        answering = self.order.answering
        sound = {"format": answering.speaks.wire, "voice": answering.voice}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [self._item.wire()] if self._open and status != "in_progress" else [],
            "conversation_id": self.conversation.id if self.order.joins else None,
            "output_modalities": [answering.output],
            "max_output_tokens": answering.max_rows or "inf",
            "audio": {"output": sound},
            "usage": None,
            "metadata": self.order.metadata,
        }
