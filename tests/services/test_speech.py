"""POST /v1/audio/speech by the unchanged OpenAI client against a real server."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile

from services.mark import HEADER, sting
from tests.services.conftest import Server, serving
from tests.tiny_bundle import MAX_ROWS

pytestmark = pytest.mark.timeout(400)
RATE_HZ = 24000
CODE_SAMPLES = 1920
LONG = "The grass is green. " * 12
"""240 letters; the tiny bundle says 30 rows in one go."""


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)


def post(server: Server, **body: Any) -> httpx.Response:
    full = {"model": "moss-speech", "input": "the grass is green", "voice": "assistant"} | body
    return httpx.post(f"{server.url}/v1/audio/speech", json=full, timeout=60)


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    parts = response.text.strip().split("\n\n")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus"])
def test_each_format_plays_and_is_marked(client: openai.OpenAI, kind: Any) -> None:
    answer = client.audio.speech.with_raw_response.create(
        model="moss-speech", input="the grass is green", voice="assistant", response_format=kind
    )
    with soundfile.SoundFile(io.BytesIO(answer.content)) as file:
        heard = np.concatenate([*file.blocks(1000)])
        assert file.samplerate == RATE_HZ
        assert "synthetic" in file.comment
    assert heard.size >= 20 * CODE_SAMPLES - 2400  # the bundle's shortest answer
    assert answer.headers[HEADER].startswith("synthetic speech")
    assert answer.headers["x-model-version"] == "moss-speech:local"
    assert answer.headers["x-model-lineage"].startswith("clean=")


def test_sound_comes_while_it_is_made(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="moss-speech", input=LONG, voice="assistant", response_format="pcm"
    ) as stream:
        pieces = [piece for piece in stream.iter_bytes() if piece]
    assert len(pieces) > 3
    n_samples = len(b"".join(pieces)) // 2
    assert n_samples % CODE_SAMPLES == 0
    assert n_samples >= 5 * 20 * CODE_SAMPLES  # several pieces of the text, not only the first


def test_a_voice_of_the_protocol_is_the_default_voice(server: Server) -> None:
    assert post(server, voice="alloy").status_code == 200


def test_default_is_mp3_and_a_voice_may_be_an_object(server: Server) -> None:
    answer = post(server, voice={"id": "assistant"})
    assert answer.headers["content-type"] == "audio/mpeg"
    assert soundfile.read(io.BytesIO(answer.content))[1] == RATE_HZ


def test_events_carry_the_sound_and_then_the_usage(server: Server) -> None:
    *deltas, done = events_of(post(server, stream_format="sse", response_format="pcm"))
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    sound = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    n_codes = len(sound) / 2 / CODE_SAMPLES
    # random weights may end their speech early and go on in text, to the limit of rows
    assert 0 < n_codes <= usage["output_tokens"] <= MAX_ROWS


def test_what_cannot_be_said_is_refused_by_name(server: Server) -> None:
    cases: list[tuple[dict[str, Any], int, str, str]] = [
        ({"input": ""}, 400, "input", "invalid_value"),
        ({"input": "?!  ..."}, 400, "input", "empty_text"),
        ({"input": "a" * 4097}, 400, "input", "invalid_value"),
        ({"voice": "nobody"}, 400, "voice", "unknown_voice"),
        ({"voice": 5}, 400, "voice", "invalid_value"),
        ({"response_format": "aac"}, 400, "response_format", "unsupported_format"),
        ({"response_format": "ogg"}, 400, "response_format", "invalid_value"),
        ({"speed": 2.0}, 400, "speed", "invalid_value"),
        ({"stream_format": "chunks"}, 400, "stream_format", "invalid_value"),
        ({"model": "tts-1"}, 404, "model", "model_not_found"),
        ({"sped": 1.0}, 400, "sped", "unknown_parameter"),
    ]
    for body, status, param, code in cases:
        answer = post(server, **body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
        assert error["type"] == "invalid_request_error"
    assert post(server).status_code == 200


def test_client_that_leaves_mid_speech_frees_its_place(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("small"), sessions="1", mark="audible") as small:
        body = {"model": "moss-speech", "input": LONG, "voice": "assistant"}
        body["response_format"] = "pcm"
        for _ in range(4):
            url = f"{small.url}/v1/audio/speech"
            with httpx.stream("POST", url, json=body, timeout=60) as stream:
                assert stream.status_code == 200
                first = next(stream.iter_bytes())
            retry(small)
        audible(small, first)


def retry(server: Server) -> None:
    """The place is free within a moment of the client's leaving."""
    for _ in range(50):
        if (answer := post(server, response_format="pcm")).status_code == 200:
            return
    pytest.fail(answer.text)


def audible(server: Server, first: bytes) -> None:
    """An audible mark sounds once, before the first word."""
    mark = sting(RATE_HZ)
    whole = post(server, input=LONG, response_format="pcm").content
    for sent in (first, whole):
        heard = np.frombuffer(sent[: 2 * mark.size], "<i2") / 32767
        assert heard == pytest.approx(mark[: heard.size], abs=1e-4)
    assert (len(whole) // 2 - mark.size) % CODE_SAMPLES == 0
