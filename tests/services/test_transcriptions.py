"""POST /v1/audio/transcriptions by the unchanged OpenAI client against a real server."""

import io
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from services.sound import Kind, sound_file
from tests.services.conftest import Server
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)
RATE_HZ = 16000


def recording(kind: Kind = "wav", seconds: float = 0) -> tuple[str, bytes]:
    """A question, repeated with pauses to at least so many seconds."""
    once = np.concatenate((spoken(), np.zeros(RATE_HZ, np.float32)))
    n_times = max(1, round(seconds * RATE_HZ / once.size))
    return f"question.{kind}", sound_file(np.tile(once, n_times), RATE_HZ, kind)


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)


def post(server: Server, file: bytes | None = None, **fields: str) -> httpx.Response:
    sent = recording()[1] if file is None else file
    return httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        data={"model": "moss-speech"} | fields,
        files={"file": ("question.wav", sent)},
        timeout=60,
    )


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus"])
def test_recordings_of_each_format_are_written_down(client: openai.OpenAI, kind: Kind) -> None:
    answer = client.audio.transcriptions.create(model="moss-speech", file=recording(kind))
    assert answer.text
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_equal_recordings_are_written_down_alike(server: Server) -> None:
    first, second = post(server), post(server)
    assert first.json() == second.json()
    assert first.headers["x-model-version"] == "moss-speech:local"
    assert "x-synthetic-media" not in first.headers  # text is not speech


def test_stream_ends_with_all_of_its_text(client: openai.OpenAI) -> None:
    whole = client.audio.transcriptions.create(model="moss-speech", file=recording())
    *deltas, done = client.audio.transcriptions.create(
        model="moss-speech", file=recording(), stream=True
    )
    assert all(isinstance(event, TranscriptionTextDeltaEvent) for event in deltas)
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert done.text == whole.text
    assert "".join(event.delta for event in deltas) == whole.text
    assert done.usage is not None
    assert done.usage.output_tokens == whole.usage.output_tokens


def test_long_recording_is_written_down_piece_by_piece(client: openai.OpenAI) -> None:
    short = client.audio.transcriptions.create(model="moss-speech", file=recording())
    long = client.audio.transcriptions.create(
        model="moss-speech", file=recording("flac", 100), response_format="verbose_json",
        language="en",
    )  # fmt: skip
    assert long.duration == pytest.approx(100, abs=3)
    assert long.language == "en"
    assert len(long.text) > 2 * len(short.text)


def test_plain_text_is_the_same_text(server: Server) -> None:
    plain = post(server, response_format="text")
    assert plain.headers["content-type"].startswith("text/plain")
    assert plain.text == post(server).json()["text"]


def test_what_cannot_be_written_down_is_refused_by_name(server: Server) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 32000).astype(np.float32)
    wav = lambda samples: sound_file(samples.astype(np.float32), RATE_HZ, "wav")  # noqa: E731
    cases: list[tuple[bytes | None, dict[str, str], int, str, str]] = [
        (b"this is not audio", {}, 400, "file", "not_audio"),
        (b"", {}, 400, "file", "not_audio"),
        (wav(np.zeros(0)), {}, 400, "file", "audio_empty"),
        (wav(np.zeros(16000)), {}, 400, "file", "audio_silent"),
        (wav(noise), {}, 400, "file", "no_speech"),
        (wav(np.tile(noise, 20)), {}, 400, "file", "no_speech"),
        (wav(np.ones(800) * 0.1), {}, 400, "file", "audio_too_short"),
        (sound_file(np.zeros(601 * 8000, np.float32), 8000, "flac"), {}, 400, "file",
         "audio_too_long"),
        (None, {"response_format": "srt"}, 400, "response_format", "invalid_value"),
        (None, {"response_format": "vtt"}, 400, "response_format", "invalid_value"),
        (None, {"temperature": "warm"}, 400, "temperature", "invalid_value"),
        (None, {"temperature": "2"}, 400, "temperature", "invalid_value"),
        (None, {"language": "English please"}, 400, "language", "invalid_value"),
        (None, {"model": "whisper-1"}, 404, "model", "model_not_found"),
        (None, {"lang": "en"}, 400, "lang", "unknown_parameter"),
    ]  # fmt: skip
    for file, fields, status, param, code in cases:
        answer = post(server, file, **fields)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (status, param, code), fields
        assert error["type"] == "invalid_request_error"
    assert post(server).status_code == 200


def test_bodies_that_are_no_form_are_refused(server: Server) -> None:
    url = f"{server.url}/v1/audio/transcriptions"
    form = {"content-type": "multipart/form-data; boundary=x"}
    cases: list[dict[str, Any]] = [
        {"json": {"model": "moss-speech"}},
        {"content": b""},
        {"content": b"--y\r\nnot a form", "headers": form},
        {"content": b"--x\r\nbroken", "headers": form},
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        {"data": {"model": "moss-speech", "file": "no file but a field"}},
    ]
    for body in cases:
        answer = httpx.post(url, timeout=60, **body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["type"] == "invalid_request_error"
    large = httpx.post(url, files={"file": ("a.wav", io.BytesIO(b" " * 65 * 2**20))}, timeout=60)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")
