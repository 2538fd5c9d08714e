"""POST /v1/chat/completions as OpenAI's clients speak it: what a request may hold.

Fields that OpenAI knows but that change nothing here are accepted; fields that would need
something this model does not have are refused by a range of their own; unknown ones are refused.
"""

import base64
import binascii
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from moss_speech.inference.turns import Output
from services.errors import refused_fields
from services.sound import Kind


def _decode_base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be strict base64 (RFC 4648, padded, no line breaks)") from error


StrictBase64 = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Bytes from base64; foreign characters are refused instead of dropped."""


class Wire(BaseModel):
    """A JSON object of the protocol: unknown keys refused, nothing coerced, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


M = TypeVar("M", bound=Wire)


def parse(model: type[M], body: bytes) -> M:
    """A request from its JSON; an `ApiError` names the field that is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise refused_fields(error) from None


class TextPart(Wire):
    """A piece of text."""

    type: Literal["text"]
    text: str


class InputAudio(Wire):
    """An audio file in base64."""

    data: StrictBase64
    format: Literal["wav", "mp3", "flac"]
    """Not relied on: what a file is, it says itself."""


class AudioPart(Wire):
    """A piece of speech."""

    type: Literal["input_audio"]
    input_audio: InputAudio


Part = Annotated[TextPart | AudioPart, Field(discriminator="type")]


class SystemMessage(Wire):
    """An instruction; how the answer sounds or reads is chosen by `modalities`."""

    role: Literal["system", "developer"]
    content: str | list[TextPart]
    name: str | None = None


class UserMessage(Wire):
    """A turn of the user: text or one recording."""

    role: Literal["user"]
    content: str | list[Part]
    name: str | None = None


class SpokenBefore(Wire):
    """An answer of this server, by the id that came with it."""

    id: str


class AssistantMessage(Wire):
    """An earlier answer: its text, or the id of its audio."""

    role: Literal["assistant"]
    content: str | list[TextPart] | None = None
    audio: SpokenBefore | None = None
    refusal: None = None
    name: str | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]


class AudioOut(Wire):
    """How a spoken answer is wanted."""

    voice: str
    format: Literal["wav", "flac", "mp3", "opus", "pcm16"]

    @property
    def kind(self) -> Kind:
        """What is written."""
        return "pcm" if self.format == "pcm16" else self.format


class StreamOptions(Wire):
    """What a stream carries besides the answer."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(Wire):
    """A request for one answer."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=200)
    modalities: list[Literal["text", "audio"]] = Field(default=["text"], min_length=1)
    audio: AudioOut | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=1e-6, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    store: bool | None = None
    """False refuses a recording of this turn."""
    # accepted, without effect here
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    parallel_tool_calls: bool | None = None
    # accepted only where they ask for nothing
    n: int | None = Field(default=None, ge=1, le=1)
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    logprobs: Literal[False] | None = None
    tools: list[Any] | None = Field(default=None, max_length=0)
    stop: list[str] | None = Field(default=None, max_length=0)

    @model_validator(mode="after")
    def _audio_fits(self) -> "ChatRequest":
        if self.spoken and self.audio is None:
            raise ValueError("audio {voice, format} is required when modalities hold 'audio'")
        if self.stream and self.spoken and self.audio and self.audio.format != "pcm16":
            raise ValueError(f"audio.format is {self.audio.format}, a stream needs pcm16")
        return self

    @property
    def spoken(self) -> bool:
        """Whether the answer is speech; an answer is speech or text, never both."""
        return "audio" in self.modalities

    @property
    def output(self) -> Output:
        """What the answer is."""
        return "audio" if self.spoken else "text"

    @property
    def max_rows(self) -> int | None:
        """The client's limit on the answer, in rows of the grid."""
        return self.max_completion_tokens or self.max_tokens
