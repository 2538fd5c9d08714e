"""POST /v1/audio/…: requests and answers, as clients of OpenAI speak it.

Fields that change nothing here are accepted; what this model cannot do is refused by name.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
)
from typing_extensions import TypedDict

from moss_speech.inference.turns import Reply
from services.errors import invalid, refused_fields
from services.protocol import Wire
from services.sound import Kind


class VoiceId(Wire):
    """A voice by its id, which is its name."""

    id: str


class SpeechRequest(Wire):
    """A text to be said."""

    model: str
    input: str = Field(min_length=1, max_length=4096)
    voice: str | VoiceId
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    # accepted, without effect here
    instructions: str | None = None
    # accepted only where it asks for nothing
    speed: float = Field(default=1.0, ge=1, le=1)

    @property
    def voice_name(self) -> str:
        """The name of the voice."""
        return self.voice if isinstance(self.voice, str) else self.voice.id

    @property
    def kind(self) -> Kind:
        """What is written; an `ApiError` for AAC, which libsndfile does not make."""
        if self.response_format == "aac":
            reason = "response_format is aac, must be one of mp3, opus, flac, wav, pcm"
            raise invalid(reason, "response_format", "unsupported_format")
        return self.response_format

    @property
    def played(self) -> bool:
        """Whether the sound is played while it comes; else it is a file, made at full speed."""
        return self.stream_format == "sse" or self.response_format in ("pcm", "opus")


class TranscriptionRequest(BaseModel):
    """The fields of a form with a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
    model: str
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt", "diarized_json"] = "json"
    stream: bool = False
    temperature: float = Field(default=0.0, ge=0, le=1)
    language: str | None = Field(default=None, pattern="^[a-z]{2,3}$")
    """Named in `verbose_json`; the model writes down what it hears in any case."""
    # accepted, without effect here
    prompt: str | None = None
    chunking_strategy: Literal["auto"] | None = None

    @field_validator("response_format")
    @classmethod
    def _can_be_made(cls, value: str) -> str:
        if value in ("srt", "vtt", "diarized_json"):
            raise ValueError(f"{value} needs times or speakers, must be json, text or verbose_json")
        return value


def parse_form(fields: dict[str, str | bytes]) -> TranscriptionRequest:
    """A request from its form; an `ApiError` names the field that is wrong."""
    try:
        return TranscriptionRequest.model_validate(fields)
    except ValidationError as error:
        raise refused_fields(error) from None


class InputDetails(TypedDict):
    """Rows of the request by what they hold."""

    text_tokens: int
    audio_tokens: int


class TokenUsage(TypedDict):
    """Rows of the grid, counted as tokens."""

    type: Literal["tokens"]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: InputDetails


class DurationUsage(TypedDict):
    """Seconds of the recording."""

    type: Literal["duration"]
    seconds: float


class TokenCounts(TypedDict):
    """Rows of the grid, counted as tokens."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDelta(TypedDict):
    """The next bytes of the sound, in base64."""

    type: Literal["speech.audio.delta"]
    audio: str


class SpeechDone(TypedDict):
    """The last event of a spoken text."""

    type: Literal["speech.audio.done"]
    usage: TokenCounts


class TranscriptDelta(TypedDict):
    """The next piece of what was said."""

    type: Literal["transcript.text.delta"]
    delta: str


class TranscriptDone(TypedDict):
    """The last event: all that was said."""

    type: Literal["transcript.text.done"]
    text: str
    usage: TokenUsage


class WrittenSpeech(TypedDict):
    """What was said."""

    text: str
    usage: TokenUsage


class VerboseWrittenSpeech(TypedDict):
    """What was said, of how long a recording; `language` is what the request named, or `und`."""

    task: Literal["transcribe"]
    duration: float
    language: str
    text: str
    usage: DurationUsage


def token_usage(replies: Sequence[Reply]) -> TokenUsage:
    """Rows of several answers together."""
    text = sum(reply.usage.prompt_text_rows for reply in replies)
    audio = sum(reply.usage.prompt_audio_rows for reply in replies)
    made = sum(reply.usage.reply_text_rows + reply.usage.reply_audio_rows for reply in replies)
    return {
        "type": "tokens",
        "input_tokens": text + audio,
        "output_tokens": made,
        "total_tokens": text + audio + made,
        "input_token_details": {"text_tokens": text, "audio_tokens": audio},
    }
