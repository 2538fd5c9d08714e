"""The unchanged OpenAI client and plain HTTP against a real server with random weights."""

import asyncio
import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile

from moss_speech.storage import write_json
from services.mark import HEADER
from tests.services.conftest import Server, free_port, serving, start
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)
SPOKEN: dict[str, Any] = {
    "modalities": ["text", "audio"],
    "audio": {"voice": "assistant", "format": "wav"},
}


def file_of(samples: np.ndarray, rate_hz: int = 16000, kind: str = "WAV") -> str:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind)
    return base64.b64encode(file.getvalue()).decode()


def ask_aloud(data: str, kind: str = "wav") -> list[Any]:
    part = {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    return [{"role": "user", "content": [part]}]


@pytest.fixture(scope="module")
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)


@pytest.fixture(scope="module")
def question() -> list[Any]:
    return ask_aloud(file_of(spoken()))


def post(server: Server, body: dict[str, Any]) -> httpx.Response:
    full = {"model": "moss-speech", "messages": [{"role": "user", "content": "hello"}]} | body
    return httpx.post(f"{server.url}/v1/chat/completions", json=full, timeout=60)


def test_spoken_question_gets_a_playable_spoken_answer(
    client: openai.OpenAI, question: list[Any]
) -> None:
    answer = client.chat.completions.create(
        model="moss-speech", messages=question, seed=1, **SPOKEN
    )
    message = answer.choices[0].message
    assert message.audio is not None
    assert message.content is None
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(message.audio.data)))
    assert rate_hz == 24000
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    n_rows = answer.usage.completion_tokens_details.audio_tokens
    assert n_rows is not None
    assert len(samples) in (1920 * n_rows, 1920 * (n_rows - 1))  # with or without end of speech


def test_streamed_answer_equals_the_whole_one(client: openai.OpenAI, question: list[Any]) -> None:
    wish = SPOKEN | {"audio": {"voice": "assistant", "format": "pcm16"}}
    whole = client.chat.completions.create(model="moss-speech", messages=question, seed=1, **wish)
    chunks = list(
        client.chat.completions.create(
            model="moss-speech", messages=question, seed=1, stream=True,
            stream_options={"include_usage": True}, **wish,
        )
    )  # fmt: skip
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    pieces = [d.audio.data for d in deltas if getattr(d, "audio", None) and d.audio.data]
    assert len(pieces) > 2
    assert whole.choices[0].message.audio is not None
    streamed = b"".join(map(base64.b64decode, pieces))
    assert streamed == base64.b64decode(whole.choices[0].message.audio.data)
    assert chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in ("stop", "length")


def test_typed_and_spoken_turns_mix_and_answers_are_referred_to_by_id(
    client: openai.OpenAI, question: list[Any]
) -> None:
    first = client.chat.completions.create(model="moss-speech", messages=question, seed=1, **SPOKEN)
    assert first.choices[0].message.audio is not None
    said = {"role": "assistant", "audio": {"id": first.choices[0].message.audio.id}}
    turns = [{"role": "system", "content": "be brief"}, *question, said]
    turns.append({"role": "user", "content": "and what now"})
    second = client.chat.completions.create(model="moss-speech", messages=turns, seed=1)
    assert second.choices[0].message.audio is None
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens + 15


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus"])
def test_each_format_plays_and_says_that_it_is_synthetic(server: Server, kind: str) -> None:
    wish = SPOKEN | {"audio": {"voice": "assistant", "format": kind}}
    answer = post(server, wish)
    data = base64.b64decode(answer.json()["choices"][0]["message"]["audio"]["data"])
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.read().size > 24000
        assert file.comment.startswith("synthetic speech")
        assert answer.headers[HEADER] == file.comment
    assert answer.headers["x-model-version"] == "moss-speech:local"
    assert answer.headers["x-model-lineage"].startswith("clean=")
    assert HEADER not in post(server, {}).headers  # text


def test_async_client_streams_many_answers_at_once(server: Server, question: list[Any]) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=5)

    async def sound() -> bytes:
        stream = await client.chat.completions.create(
            model="moss-speech", messages=question, seed=1, stream=True,
            modalities=["text", "audio"], audio={"voice": "assistant", "format": "pcm16"},
        )  # fmt: skip
        deltas = [c.choices[0].delta async for c in stream if c.choices]
        audio = [d.audio for d in deltas if getattr(d, "audio", None)]
        return b"".join(base64.b64decode(a.data) for a in audio if getattr(a, "data", None))

    async def many() -> list[bytes]:
        return await asyncio.gather(*(sound() for _ in range(4)))

    answers = asyncio.run(many())
    assert len(answers[0]) > 48000
    assert set(answers) == {answers[0]}


def test_models_are_listed_with_what_a_client_must_know(client: openai.OpenAI) -> None:
    model = client.models.list().data[0].model_dump()
    assert model["id"] == "moss-speech"
    assert model["sample_rate_hz"] == 24000
    assert model["voices"] == ["assistant"]
    assert client.models.retrieve("moss-speech").id == "moss-speech"


def test_each_bad_question_gets_its_typed_400_and_the_server_stays_up(server: Server) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 32000)
    cases = {
        "audio_empty": file_of(np.zeros(0)),
        "audio_silent": file_of(np.zeros(16000)),
        "no_speech": file_of(noise),
        "audio_too_short": file_of(np.ones(800) * 0.1),
        "audio_too_long": file_of(np.zeros(600 * 8000), 8000, "FLAC"),
        "not_audio": base64.b64encode(b"this is not audio at all").decode(),
        "invalid_value": "@@not base64@@",
    }
    for code, data in cases.items():
        answer = post(server, {"messages": ask_aloud(data)})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code)
        assert error["type"] == "invalid_request_error"
        assert error["param"].startswith("messages")
        assert " object at " not in error["message"]
    assert post(server, {"seed": 1}).status_code == 200


def test_wrong_fields_are_refused_by_name(server: Server) -> None:
    mixed = [{"type": "text", "text": "what is said here"}, *ask_aloud("UklGRg==")[0]["content"]]
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"temprature": 1}, 400, "temprature"),
        ({"temperature": 9}, 400, "temperature"),
        ({"top_p": 5e-324}, 400, "top_p"),
        ({"n": 2}, 400, "n"),
        ({"model": "gpt"}, 404, "model"),
        ({"audio": {"voice": "nobody", "format": "wav"}}, 400, "audio.voice"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": mixed}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, 400, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            400,
            "messages[0].content[0]",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "audio": {"id": "x"}},
                    {"role": "user", "content": "a"},
                ]
            },
            400,
            "messages[0].audio.id",
        ),
    ]
    for body, status, param in cases:
        answer = post(server, body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_body_that_is_not_json_or_too_large_is_refused(server: Server) -> None:
    url = f"{server.url}/v1/chat/completions"
    broken = httpx.post(url, content=b"{", timeout=60)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
    large = httpx.post(url, content=b" " * (65 * 2**20), timeout=60)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")


def test_full_server_says_when_to_come_back(tmp_path: Path, question: list[Any]) -> None:
    body = {"messages": question, **SPOKEN}
    with serving(tmp_path, sessions="1") as small, ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: post(small, body), range(8)))
        refused = [a for a in answers if a.status_code == 503]
        assert {a.status_code for a in answers} == {200, 503}
        assert {a.json()["error"]["code"] for a in refused} == {"overloaded"}
        assert {a.json()["error"]["type"] for a in refused} == {"overloaded_error"}
        assert int(refused[0].headers["retry-after"]) >= 1
        assert post(small, {}).status_code == 200


def test_client_that_leaves_mid_answer_frees_its_place(server: Server, question: list[Any]) -> None:
    wish = {"audio": {"voice": "assistant", "format": "pcm16"}, "stream": True}
    body = {"model": "moss-speech", "messages": question, **SPOKEN, **wish}
    url = f"{server.url}/v1/chat/completions"
    for _ in range(4):
        with httpx.stream("POST", url, json=body, timeout=60) as stream:
            next(stream.iter_lines())
        assert post(server, {}).status_code == 200


def test_client_that_leaves_before_a_whole_answer_frees_its_place(
    tmp_path: Path, question: list[Any]
) -> None:
    body = {"model": "moss-speech", "messages": question, **SPOKEN}
    with serving(tmp_path, sessions="1") as small:
        for _ in range(8):
            with suppress(httpx.ReadTimeout):
                httpx.post(f"{small.url}/v1/chat/completions", json=body, timeout=0.1)
        deadline = time.monotonic() + 30
        while (answer := post(small, {})).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer.status_code == 200
        figures = httpx.get(f"{small.url}/metrics").text
        assert 'moss_refused_total{code="client_left"}' in figures
        assert "Traceback" not in small.log.read_text()


def test_health_and_metrics_answer_and_count(server: Server) -> None:
    assert httpx.get(f"{server.url}/livez").status_code == 200
    assert post(server, {}).status_code == 200
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'moss_answers_total{finish="' in metrics
    assert "moss_first_audio_seconds_bucket" in metrics
    assert post(server, {"model": "gpt"}).status_code == 404
    assert 'moss_refused_total{code="model_not_found"}' in httpx.get(f"{server.url}/metrics").text


def test_logs_carry_no_words_of_the_conversation(server: Server) -> None:
    secret = "zanzibar"
    assert post(server, {"messages": [{"role": "user", "content": secret}]}).status_code == 200
    assert secret not in server.log.read_text().lower()


def test_missing_champion_and_damaged_bundle_end_the_start_with_a_remedy(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    write_json(damaged / "card.json", {"format_version": 1})
    cases = {
        "models:/moss-speech@champion": "no champion yet: `make train` trains and promotes one",
        str(damaged): "is no card of a bundle: about: Field required",
    }
    for model, remedy in cases.items():
        process = start(model, tmp_path / "log", tmp_path / "state", free_port())
        assert process.wait(120) == 1
        assert remedy in (tmp_path / "log").read_text()
        assert "Traceback" not in (tmp_path / "log").read_text()
