"""Answers in the shapes of OpenAI's chat completions: whole, and as chunks of a stream."""

import base64
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from moss_speech.inference.turns import AudioDelta, Event, Finish, Finished, Reply, TextDelta
from services.answers import StoredAnswer
from services.served import ModelInfo
from services.sound import Kind, pcm16, sound_file
from services.sse import sse


class PromptDetails(TypedDict):
    """Rows of the conversation so far by what they hold."""

    text_tokens: int
    audio_tokens: int
    cached_tokens: int


class CompletionDetails(TypedDict):
    """Rows of the answer by what they hold."""

    text_tokens: int
    audio_tokens: int


class Usage(TypedDict):
    """Rows of the grid, counted as tokens; a row of audio is 80 ms of speech."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class SpokenMessage(TypedDict):
    """A spoken answer: a file in base64, and an id to refer to it for an hour."""

    id: str
    data: str
    expires_at: int
    transcript: str


class AnswerMessage(TypedDict):
    """The answer, as text or as speech."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    audio: NotRequired[SpokenMessage]


class Choice(TypedDict):
    """The one answer."""

    index: int
    message: AnswerMessage
    finish_reason: Finish
    logprobs: None


class ChatCompletion(TypedDict):
    """A whole answer; `timings` are seconds since the question was whole."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    timings: dict[str, float]


class ChunkChoice(TypedDict):
    """What a chunk adds: role, a piece of text, or of sound with the id of the answer."""

    index: int
    delta: dict[str, Any]
    finish_reason: Finish | None
    logprobs: None


class ChatChunk(TypedDict):
    """One event of a stream; the one with the usage has no choice."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage]
    timings: NotRequired[dict[str, float]]


def usage(reply: Reply) -> Usage:
    """Rows of the grid as OpenAI's token counts."""
    rows = reply.usage
    prompt, completion = (
        rows.prompt_text_rows + rows.prompt_audio_rows,
        rows.reply_text_rows + rows.reply_audio_rows,
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "text_tokens": rows.prompt_text_rows,
            "audio_tokens": rows.prompt_audio_rows,
            "cached_tokens": 0,
        },
        "completion_tokens_details": {
            "text_tokens": rows.reply_text_rows,
            "audio_tokens": rows.reply_audio_rows,
        },
    }


@dataclass(frozen=True)
class Completion:
    """One answer on its way to the client."""

    model: ModelInfo
    answer: StoredAnswer
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def _fingerprint(self) -> str:
        return f"{self.model.version}-{self.model.digest[:12]}"

    def whole(self, reply: Reply, audio_format: Kind | None, comment: str) -> ChatCompletion:
        """The `chat.completion` object; speech has no transcript, for no text was made."""
        message: AnswerMessage = {"role": "assistant", "content": reply.text, "refusal": None}
        if audio_format is not None:
            file = sound_file(reply.audio, reply.sample_rate_hz, audio_format, comment)
            message["content"] = None
            message["audio"] = {
                "id": self.answer.id,
                "data": base64.b64encode(file).decode(),
                "expires_at": self.answer.expires_at,
                "transcript": "",
            }
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model.name,
            "system_fingerprint": self._fingerprint,
            "choices": [
                {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
            ],
            "usage": usage(reply),
            "timings": asdict(reply.timings),
        }

    def _envelope(self, choices: list[ChunkChoice]) -> ChatChunk:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model.name,
            "system_fingerprint": self._fingerprint,
            "choices": choices,
        }

    def _chunk(self, delta: dict[str, Any], finish: Finish | None = None) -> str:
        choice: ChunkChoice = {
            "index": 0, "delta": delta, "finish_reason": finish, "logprobs": None,
        }  # fmt: skip
        return sse(self._envelope([choice]))

    def opening(self, spoken: bool) -> str:
        """The first chunk: who speaks, and the id of the audio to come."""
        if not spoken:
            return self._chunk({"role": "assistant", "content": "", "refusal": None})
        audio = {"id": self.answer.id, "transcript": ""}
        return self._chunk({"role": "assistant", "content": None, "audio": audio})

    def chunk(self, event: Event, spoken: bool, with_usage: bool) -> str:
        """The text of the stream for one event of the engine."""
        if isinstance(event, TextDelta):
            return self._chunk({"content": event.text})
        if isinstance(event, AudioDelta):
            data = base64.b64encode(pcm16(event.samples)).decode()
            return self._chunk({"audio": {"id": self.answer.id, "data": data}})
        return self._closing(event, spoken, with_usage)

    def _closing(self, event: Finished, spoken: bool, with_usage: bool) -> str:
        audio = {"audio": {"id": self.answer.id, "expires_at": self.answer.expires_at}}
        text = self._chunk(audio if spoken else {}, event.reply.finish)
        if with_usage:
            last = self._envelope([])
            last["usage"], last["timings"] = usage(event.reply), asdict(event.reply.timings)
            text += sse(last)
        return text + "data: [DONE]\n\n"
