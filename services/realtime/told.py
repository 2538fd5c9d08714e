"""Every event that the server sends: one function for each, and the order is the callers'."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, Literal

from services.access import RateLimit
from services.errors import ApiError
from services.realtime.config import Config
from services.realtime.conversation import Item

Event = dict[str, Any]
Tell = Callable[[Event], None]
"""Sends an event; it adds the event's own id."""


def session(config: Config, what: Literal["created", "updated"]) -> Event:
    """The settings as they take effect."""
    return {"type": f"session.{what}", "session": config.wire}


def conversation_created(conversation_id: str) -> Event:
    """The conversation that items are added to."""
    return {
        "type": "conversation.created",
        "conversation": {"id": conversation_id, "object": "realtime.conversation"},
    }


def reason(failure: ApiError) -> str:
    """The message of a failure; where HTTP has a header, it says when to come back."""
    after_s = failure.retry_after_s
    return str(failure) if after_s is None else f"{failure} (retry after {after_s} s)"


def error(failure: ApiError, cause: str | None) -> Event:
    """What went wrong, and the id of the client's event that caused it."""
    body = {**failure.body()["error"], "message": reason(failure), "event_id": cause}
    return {"type": "error", "error": body}


def speech(what: Literal["started", "stopped"], at_ms: int, item_id: str) -> Event:
    """The user began or ended to speak, in milliseconds of all audio heard."""
    key = "audio_start_ms" if what == "started" else "audio_end_ms"
    return {"type": f"input_audio_buffer.speech_{what}", key: at_ms, "item_id": item_id}


def idle(begin_ms: int, end_ms: int, item_id: str) -> Event:
    """Nobody spoke for the idle timeout."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "audio_start_ms": begin_ms,
        "audio_end_ms": end_ms,
        "item_id": item_id,
    }


def committed(item_id: str, previous: str | None) -> Event:
    """What was heard becomes an item."""
    return {
        "type": "input_audio_buffer.committed",
        "item_id": item_id,
        "previous_item_id": previous,
    }


def cleared() -> Event:
    """What was heard is forgotten."""
    return {"type": "input_audio_buffer.cleared"}


def item(what: Literal["added", "done"], new: Item, previous: str | None) -> Event:
    """An item joined the conversation, or is final."""
    return {
        "type": f"conversation.item.{what}",
        "item": new.wire(),
        "previous_item_id": previous,
    }


def retrieved(found: Item) -> Event:
    """An item with its sound."""
    return {"type": "conversation.item.retrieved", "item": found.wire(with_audio=True)}


def truncated(item_id: str, audio_end_ms: int) -> Event:
    """The rest of an answer is forgotten."""
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def deleted(item_id: str) -> Event:
    """An item is forgotten."""
    return {"type": "conversation.item.deleted", "item_id": item_id}


def transcribed(item_id: str, duration_s: float) -> Event:
    """The empty transcript that a client waits for; nothing here makes one."""
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": "",
        "usage": {"type": "duration", "seconds": duration_s},
    }


def rate_limits(limits: Sequence[RateLimit]) -> Event:
    """What the caller may still ask for."""
    return {
        "type": "rate_limits.updated",
        "rate_limits": [
            {
                "name": limit.name,
                "limit": limit.limit,
                "remaining": limit.remaining,
                "reset_seconds": limit.reset_s,
            }
            for limit in limits
        ],
    }


def response(what: Literal["created", "done"], resource: Event) -> Event:
    """An answer begins or is over."""
    return {"type": f"response.{what}", "response": resource}


def output_item(what: Literal["added", "done"], response_id: str, said: Item) -> Event:
    """The item of an answer begins or is over."""
    return {
        "type": f"response.output_item.{what}",
        "response_id": response_id,
        "output_index": 0,
        "item": said.wire(),
    }


class PartEvents:
    """Events of the one part that an answer's item has."""

    def __init__(self, response_id: str, item_id: str, spoken: bool) -> None:
        self._spoken = spoken
        self._place = {
            "response_id": response_id,
            "item_id": item_id,
            "output_index": 0,
            "content_index": 0,
        }

    def _part(self, text: str) -> Event:
        return (
            {"type": "audio", "transcript": text}
            if self._spoken
            else {"type": "text", "text": text}
        )

    def added(self) -> Event:
        """The part begins."""
        return {"type": "response.content_part.added", **self._place, "part": self._part("")}

    def done(self, text: str) -> Event:
        """The part is over."""
        return {"type": "response.content_part.done", **self._place, "part": self._part(text)}

    def text_delta(self, text: str) -> Event:
        """More text."""
        return {"type": "response.output_text.delta", **self._place, "delta": text}

    def text_done(self, text: str) -> Event:
        """The whole text."""
        return {"type": "response.output_text.done", **self._place, "text": text}

    def audio_delta(self, data: bytes) -> Event:
        """More sound."""
        delta = base64.b64encode(data).decode()
        return {"type": "response.output_audio.delta", **self._place, "delta": delta}

    def audio_done(self) -> Event:
        """No more sound."""
        return {"type": "response.output_audio.done", **self._place}

    def transcript_delta(self) -> Event:
        """An empty piece of a transcript: the model speaks without text."""
        return {"type": "response.output_audio_transcript.delta", **self._place, "delta": ""}

    def transcript_done(self) -> Event:
        """The empty transcript."""
        return {"type": "response.output_audio_transcript.done", **self._place, "transcript": ""}
