"""A real server of two workers that asks for keys: the openai client, plain HTTP, its log."""

import base64
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.realtime.client_secret_create_response import ClientSecretCreateResponse

from tests.services.access.guarded import (
    CHAT,
    LISTED,
    SECRETS,
    client,
    command,
    post,
    wait_for_a_minute_with_room,
)
from tests.services.conftest import Server
from tests.services.test_chat import SPOKEN, ask_aloud, file_of
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)
WARNING = "whoever reaches the service uses it"
HELLO: dict[str, Any] = {"model": "moss-speech", "messages": [{"role": "user", "content": "hello"}]}


def test_openai_client_gets_an_answer_and_its_limits(guarded: Server, key: str) -> None:
    raw = client(guarded, key).chat.completions.with_raw_response.create(**HELLO)
    assert raw.parse().choices[0].message.role == "assistant"
    assert raw.headers["x-ratelimit-limit-requests"] == "6000"
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < 6000
    assert int(raw.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60


def test_openai_client_raises_its_own_errors(guarded: Server) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown:
        client(guarded, "ms-wrong").chat.completions.create(**HELLO)
    assert unknown.value.code == "invalid_api_key"
    silent = post(guarded, CHAT, None, json=HELLO)
    assert (silent.status_code, silent.headers["www-authenticate"]) == (401, "Bearer")
    assert silent.json()["error"]["type"] == "authentication_error"
    narrow = command(guarded, "add", "narrow", "--scope", "speech", "--scope", "models")
    with pytest.raises(openai.PermissionDeniedError) as denied:
        client(guarded, narrow).chat.completions.create(**HELLO)
    assert denied.value.code == "insufficient_scope"


def test_limit_holds_over_both_workers_and_says_when_to_come_back(guarded: Server) -> None:
    few = command(guarded, "add", "few", "--requests-per-minute", "4")
    wait_for_a_minute_with_room(guarded)
    answers = [post(guarded, CHAT, few, content=b"{") for _ in range(8)]
    assert [a.status_code for a in answers] == [400] * 4 + [429] * 4
    last = answers[-1]
    assert last.json()["error"]["type"] == "rate_limit_error"
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(last.headers["retry-after"]) <= 60
    assert last.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError):
        client(guarded, few).chat.completions.create(**HELLO)


def test_revoked_key_is_refused_by_both_workers_at_once(guarded: Server) -> None:
    lost = command(guarded, "add", "lost")
    path = SECRETS
    secret = post(guarded, path, lost).json()["value"]
    assert "lost" in command(guarded, "revoke", "lost")
    for _ in range(6):
        assert post(guarded, path, lost).status_code == 401
        refused = post(guarded, CHAT, secret, json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    listed = command(guarded, "list")
    assert lost not in listed
    assert "revoked" in next(line for line in listed.splitlines() if line.startswith("lost"))


def test_client_secret_has_openais_shape_and_opens_nothing_but_sessions(
    guarded: Server, key: str
) -> None:
    path, before = SECRETS, int(time.time())
    session = {"type": "realtime", "instructions": "be brief"}
    body = {"expires_after": {"anchor": "created_at", "seconds": 10}, "session": session}
    answer = post(guarded, path, key, json=body).json()
    made = ClientSecretCreateResponse.model_validate(answer, extra="forbid")
    assert made.value.startswith("ek_")
    assert before + 10 <= made.expires_at <= time.time() + 10
    assert made.session.type == "realtime"
    assert made.session.instructions == "be brief"
    usual = client(guarded, key).realtime.client_secrets.create()
    assert usual.expires_at >= before + 600
    for _ in range(6):  # both workers know the signature
        refused = post(guarded, path, made.value)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"session": {"type": "transcription"}}, "session.type"),
        ({"session": {"type": "realtime", "instructions": "x" * 5000}}, "session"),
        (
            {"session": {"type": "realtime", "audio": {"output": {"voice": "nobody"}}}},
            "session.audio.output.voice",
        ),
        ({"session": {"type": "realtime", "modalities": ["audio"]}}, "session.modalities"),
        ({"sesion": {}}, "sesion"),
    ],
)
def test_wrong_wish_for_a_secret_names_its_field(
    guarded: Server, key: str, body: dict[str, Any], param: str
) -> None:
    answer = post(guarded, SECRETS, key, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_listed_page_may_ask_and_read_and_a_foreign_one_may_not(guarded: Server, key: str) -> None:
    path = SECRETS
    asks = "access-control-request"
    asked = {f"{asks}-method": "POST", f"{asks}-headers": "authorization"}
    for origin, may in ((LISTED, True), ("https://evil.example", False)):
        preflight = httpx.options(f"{guarded.url}{path}", headers=asked | {"origin": origin})
        assert (preflight.headers.get("access-control-allow-origin") == origin) is may
        answer = post(guarded, path, key, headers={"origin": origin})
        assert answer.status_code == (200 if may else 403)
        assert (answer.headers.get("access-control-allow-origin") == origin) is may
    own = post(guarded, path, key, headers={"origin": guarded.url})
    assert own.status_code == 200


def test_spoken_answer_is_known_by_its_id_to_both_workers(guarded: Server, key: str) -> None:
    said = client(guarded, key).chat.completions.create(
        model="moss-speech", messages=ask_aloud(file_of(spoken())), seed=1, **SPOKEN
    )
    assert said.choices[0].message.audio is not None
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "audio": {"id": said.choices[0].message.audio.id}},
        {"role": "user", "content": "and what now"},
    ]
    body = HELLO | {"messages": turns, "max_tokens": 2}
    answers = [post(guarded, CHAT, key, json=body) for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 6


def test_log_holds_no_words_no_audio_and_no_keys(guarded: Server, key: str) -> None:
    word, question = "zanzibar", file_of(spoken())
    typed = [{"role": "user", "content": word}]
    answers = [
        post(guarded, CHAT, key, json=HELLO | {"messages": typed}),
        post(guarded, CHAT, key,
             json=HELLO | SPOKEN | {"messages": ask_aloud(question), "seed": 1}),
        post(guarded, CHAT, key,
             json=HELLO | {"messages": [*typed, {"role": "nobody", "content": word}]}),
        post(guarded, f"{CHAT}?store=true", key, content=word.encode()),
    ]  # fmt: skip
    assert [a.status_code for a in answers] == [200, 200, 400, 400]
    text = answers[0].json()["choices"][0]["message"]["content"]
    answered = answers[1].json()["choices"][0]["message"]["audio"]["data"]
    secret = post(guarded, SECRETS, key).json()["value"]
    log = guarded.log.read_text()
    assert CHAT in log  # it is the log of these requests
    assert word not in log.lower()
    assert not text or text not in log
    for data in (question, answered):
        pieces = {data[i : i + 24] for i in range(200, len(data) - 24, 24)}
        assert pieces
        assert not any(piece in log for piece in pieces)
        assert str(base64.b64decode(data[:64])) not in log
    for hidden in (key, secret, key.removeprefix("ms-")):
        assert hidden not in log


def test_guarded_service_does_not_warn_and_keeps_its_signing_key_private(guarded: Server) -> None:
    assert WARNING not in guarded.log.read_text()
    assert (Path(guarded.state) / "signing.key").stat().st_mode & 0o077 == 0
