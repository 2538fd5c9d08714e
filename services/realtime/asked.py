"""What a client may send: the events of the protocol, strict, unknown fields refused."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_core import from_json

from services.errors import ApiError, invalid, refused_fields
from services.protocol import StrictBase64, Wire
from services.realtime.messages import Id, NewItem
from services.realtime.wishes import ResponseWish, SessionWish


class _Event(Wire):
    event_id: Annotated[str, Field(max_length=512)] | None = None


class UpdateSession(_Event):
    """Change settings."""

    type: Literal["session.update"]
    session: SessionWish


class AppendAudio(_Event):
    """More of what the microphone hears."""

    type: Literal["input_audio_buffer.append"]
    audio: StrictBase64


class CommitAudio(_Event):
    """What was heard is the user's turn."""

    type: Literal["input_audio_buffer.commit"]


class ClearAudio(_Event):
    """Forget what was heard."""

    type: Literal["input_audio_buffer.clear"]


class CreateItem(_Event):
    """Add a message."""

    type: Literal["conversation.item.create"]
    item: NewItem
    previous_item_id: Id | None = None


class RetrieveItem(_Event):
    """Ask for an item with its audio."""

    type: Literal["conversation.item.retrieve"]
    item_id: Id


class TruncateItem(_Event):
    """Forget what was not heard of an answer."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: Literal[0]
    audio_end_ms: int = Field(ge=0)


class DeleteItem(_Event):
    """Forget an item."""

    type: Literal["conversation.item.delete"]
    item_id: Id


class CreateResponse(_Event):
    """Ask for an answer."""

    type: Literal["response.create"]
    response: ResponseWish | None = None


class CancelResponse(_Event):
    """Stop the answer under way."""

    type: Literal["response.cancel"]
    response_id: str | None = None


Asked = (
    UpdateSession | AppendAudio | CommitAudio | ClearAudio | CreateItem | RetrieveItem
    | TruncateItem | DeleteItem | CreateResponse | CancelResponse
)  # fmt: skip

_CLASSES: dict[str, type[Asked]] = {
    "session.update": UpdateSession,
    "input_audio_buffer.append": AppendAudio,
    "input_audio_buffer.commit": CommitAudio,
    "input_audio_buffer.clear": ClearAudio,
    "conversation.item.create": CreateItem,
    "conversation.item.retrieve": RetrieveItem,
    "conversation.item.truncate": TruncateItem,
    "conversation.item.delete": DeleteItem,
    "response.create": CreateResponse,
    "response.cancel": CancelResponse,
}
_NOT_HERE = {"output_audio_buffer.clear": "is of WebRTC; over a WebSocket, send response.cancel"}


class EventError(Exception):
    """An event that cannot be used: why, and its id if it had one."""

    def __init__(self, error: ApiError, event_id: str | None = None) -> None:
        super().__init__(str(error))
        self.error, self.event_id = error, event_id


def read_event(text: str) -> Asked:
    """A client's event from its JSON; `EventError` names the field and the allowed values."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise EventError(invalid(f"the event is not JSON: {error}", None, "invalid_json")) from None
    if not isinstance(value, dict):
        raise EventError(invalid("the event must be a JSON object", None, "invalid_json"))
    event_id = value["event_id"] if isinstance(value.get("event_id"), str) else None
    kind = value.get("type")
    if isinstance(kind, str) and kind in _NOT_HERE:
        reason = f"{kind} {_NOT_HERE[kind]}"
        raise EventError(invalid(reason, "type", "unsupported_event"), event_id)
    if not isinstance(kind, str) or kind not in _CLASSES:
        reason = f"the type of the event must be one of {', '.join(_CLASSES)}"
        raise EventError(invalid(reason, "type", "unknown_event"), event_id)
    try:
        return _CLASSES[kind].model_validate(value)
    except ValidationError as error:
        raise EventError(refused_fields(error), event_id) from None
