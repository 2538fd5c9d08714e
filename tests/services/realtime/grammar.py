"""What must hold of any session's events, in whatever order they come."""

from typing import Any

Event = dict[str, Any]


class Grammar:
    """Reads the events of one session; an assertion for one that may not come there."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.responses: set[str] = set()
        self.items: set[str] = set()
        self.response: str | None = None
        """The answer under way."""
        self.part: str | None = None
        """The item whose part is under way."""
        self.speaking: str | None = None

    def read(self, event: Event) -> None:
        assert event["event_id"] not in self.ids
        self.ids.add(event["event_id"])
        kind = event["type"]
        if kind == "response.created":
            self._begin(event["response"])
        elif kind == "response.done":
            self._end(event["response"])
        elif kind.startswith("response."):
            self._piece(kind, event)
        elif kind == "conversation.item.added":
            assert event["item"]["id"] not in self.items
            assert event["previous_item_id"] in {None, *self.items}
            self.items.add(event["item"]["id"])
        elif kind == "conversation.item.done":
            assert event["item"]["status"] != "in_progress"
        elif kind == "conversation.item.deleted":
            self.items.remove(event["item_id"])  # a client may use its name again
        elif kind == "input_audio_buffer.speech_started":
            self.speaking = event["item_id"]
        elif kind == "input_audio_buffer.speech_stopped":
            assert event["item_id"] == self.speaking
        elif kind == "error":
            assert event["error"]["type"] != "server_error", event

    def _begin(self, response: Event) -> None:
        assert self.response is None
        assert response["id"] not in self.responses
        assert response["status"] == "in_progress"
        assert response["output"] == []
        self.responses.add(response["id"])
        self.response = response["id"]

    def _end(self, response: Event) -> None:
        assert response["id"] == self.response
        assert self.part is None
        status, details = response["status"], response["status_details"]
        assert status in ("completed", "cancelled", "incomplete", "failed")
        assert details["type"] == status
        assert ("reason" in details) == (status in ("cancelled", "incomplete"))
        assert ("error" in details) == (status == "failed")
        if usage := response["usage"]:
            both = usage["input_tokens"] + usage["output_tokens"]
            assert usage["total_tokens"] == both
        self.response = None

    def _piece(self, kind: str, event: Event) -> None:
        assert event["response_id"] == self.response
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        if kind == "response.content_part.added":
            self.part = item_id
        elif kind == "response.content_part.done":
            assert self.part == item_id
            self.part = None
        elif kind.endswith((".delta", ".done")) and "output_item" not in kind:
            assert self.part == item_id
