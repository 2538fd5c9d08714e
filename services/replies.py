"""Answers in the shapes of OpenAI's chat completions: whole, and as chunks of a stream."""

import base64
import io
import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from moss_speech.audio import Samples, write_audio
from moss_speech.inference.turns import AudioDelta, Event, Finished, Reply, TextDelta
from services.answers import StoredAnswer
from services.served import ModelInfo


def pcm16(samples: Samples) -> bytes:
    """Little-endian 16-bit samples of audio in -1..1."""
    return (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()


def audio_file(samples: Samples, sample_rate_hz: int, kind: str) -> bytes:
    """Audio as a `wav` or `flac` file, or as bare `pcm16`."""
    if kind == "pcm16":
        return pcm16(samples)
    file = io.BytesIO()
    write_audio(file, samples, sample_rate_hz, format=kind.upper())
    return file.getvalue()


def usage(reply: Reply) -> dict[str, Any]:
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

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model.name,
            "system_fingerprint": f"{self.model.version}-{self.model.digest[:12]}",
            "choices": choices,
        }

    def whole(self, reply: Reply, audio_format: str | None) -> dict[str, Any]:
        """The `chat.completion` object; speech has no transcript, for no text was made."""
        message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
        if audio_format is not None:
            file = audio_file(reply.audio, reply.sample_rate_hz, audio_format)
            message |= {
                "content": None,
                "audio": {
                    "id": self.answer.id,
                    "data": base64.b64encode(file).decode(),
                    "expires_at": self.answer.expires_at,
                    "transcript": "",
                },
            }
        choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
        body = self._envelope("chat.completion", [choice]) | {"usage": usage(reply)}
        return body | {"timings": asdict(reply.timings)}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return sse(self._envelope("chat.completion.chunk", [choice]))

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
            last = self._envelope("chat.completion.chunk", [])
            last |= {"usage": usage(event.reply), "timings": asdict(event.reply.timings)}
            text += sse(last)
        return text + "data: [DONE]\n\n"


def sse(value: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"
