"""Messages as a client writes them into a conversation: strict, unknown fields refused."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.protocol import StrictBase64, Wire

MAX_TEXT = 10_000
"""Characters of one text, more than fits a conversation."""

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class Part(Wire):
    """A piece of what an item says."""

    type: Literal["input_text", "input_audio", "output_text"]
    text: Text | None = None
    audio: StrictBase64 | None = None
    transcript: str | None = None

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> "Part":
        wanted, other = ("audio", "text") if self.type == "input_audio" else ("text", "audio")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"a part of type {self.type} must hold {wanted} and no {other}")
        return self


class NewItem(Wire):
    """A message that the client adds to the conversation."""

    type: Literal["message"]
    role: Literal["system", "user", "assistant"]
    content: list[Part] = Field(min_length=1, max_length=100)
    id: Id | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None

    @model_validator(mode="after")
    def _parts_fit_the_role(self) -> "NewItem":
        allowed = {
            "system": ("input_text",),
            "user": ("input_text", "input_audio"),
            "assistant": ("output_text",),
        }[self.role]
        if wrong := [part.type for part in self.content if part.type not in allowed]:
            raise ValueError(f"a {self.role} message holds {wrong[0]}, may hold {allowed}")
        if len({part.type for part in self.content}) > 1:
            raise ValueError("a message holds text and audio, must hold one of them")
        return self


class ItemReference(Wire):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: Id
