"""What a client may wish of a session or of one answer: strict, unknown fields refused.

Settings that nothing here implements are accepted where they ask for nothing. A field that has
one of several shapes in the protocol is one class with optional fields, so that an error names it
as the client wrote it.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from services.protocol import Wire
from services.realtime.audio import FormatName
from services.realtime.messages import ItemReference, NewItem, Text

_NULL_IS_OFF = {"turn_detection", "transcription", "idle_timeout_ms"}


def _row_limit(value: Any) -> Any:
    return None if value == "inf" else value


def _voice_name(value: Any) -> Any:
    return value["id"] if isinstance(value, dict) and value.keys() == {"id"} else value


def _without_tools(value: Any) -> Any:
    if value not in (None, "auto", "none"):
        raise ValueError("must be 'auto' or 'none', this model calls no tools")
    return value


RowLimit = Annotated[Annotated[int, Field(ge=1, le=4096)] | None, BeforeValidator(_row_limit)]
"""Rows of an answer; None, or 'inf' on the wire, is as many as the model makes."""
Voice = Annotated[str, BeforeValidator(_voice_name)]
ToolChoice = Annotated[str | None, BeforeValidator(_without_tools)]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1, max_length=1)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]


class Settings(Wire):
    """Settings that may be left out; null means so too, but where it switches something off."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        optional = cls.model_fields.keys() - _NULL_IS_OFF
        return {k: v for k, v in value.items() if v is not None or k not in optional}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The description says so as well."""
        described = handler(core_schema)
        schema = handler.resolve_ref_schema(described)
        for name in schema["properties"].keys() - set(schema.get("required", ())):
            schema["properties"][name] = {"anyOf": [schema["properties"][name], {"type": "null"}]}
        return described


class Format(Settings):
    """How audio is written."""

    type: FormatName = "audio/pcm"
    rate: Literal[24000] | None = None

    @model_validator(mode="after")
    def _g711_has_one_rate(self) -> "Format":
        if self.rate is not None and self.type != "audio/pcm":
            raise ValueError(f"{self.type} has no rate, it is always 8000")
        return self


class TurnDetection(Settings):
    """How turns are found; what is called semantic is done by voice activity as well."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    silence_duration_ms: int = Field(default=500, ge=50, le=10_000)
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = Field(default=None, ge=5000, le=30_000)
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


class Transcription(Settings):
    """A transcript of what is heard; nothing here makes one."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: str | None = None


class NoiseReduction(Settings):
    """A filter in front of the codec; there is none."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class AudioIn(Settings):
    """What is heard, and when it is a turn."""

    format: Format | None = None
    turn_detection: TurnDetection | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None


class Sound(Settings):
    """How one answer sounds."""

    format: Format | None = None
    voice: Voice | None = None


class AudioOut(Sound):
    """How answers sound."""

    speed: float = Field(default=1, ge=1, le=1)


class Audio(Settings):
    """Both directions."""

    input: AudioIn = AudioIn()
    output: AudioOut = AudioOut()


class Reasoning(Settings):
    """How long to think; this model does not."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class Tracing(Settings):
    """Traces of the protocol's owner; there are none."""

    group_id: str | None = None
    metadata: dict[str, Any] | None = None
    workflow_name: str | None = None


class Retention(Settings):
    """How much to forget at once; here, no more than must be."""

    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0, le=1)
    token_limits: dict[str, Any] | None = None


class _Answering(Settings):
    """What a session and a single response have in common."""

    instructions: Text | None = None
    output_modalities: Modalities | None = None
    max_output_tokens: RowLimit = None
    tools: list[Any] | None = Field(default=None, max_length=0)
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None
    prompt: None = None
    reasoning: Reasoning | None = None


class SessionWish(_Answering):
    """Settings of a session; those left out stay as they are."""

    type: Literal["realtime"]
    model: str | None = None
    audio: Audio = Audio()
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | Retention | None = None


class ResponseAudio(Settings):
    """The audio of one answer."""

    output: Sound = Sound()


class ResponseWish(_Answering):
    """How one answer is wanted, where it differs from the session."""

    audio: ResponseAudio = ResponseAudio()
    conversation: Literal["auto", "none"] = "auto"
    input: (
        Annotated[
            list[Annotated[NewItem | ItemReference, Field(discriminator="type")]],
            Field(max_length=1000),
        ]
        | None
    ) = None
    metadata: Metadata | None = None
