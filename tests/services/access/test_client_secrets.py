"""Client secrets: what was signed comes back, everything else is refused."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import SecretStr

from moss_speech.settings import Settings
from services.access.client_secrets import MAX_SESSION_BYTES, Claims, ClientSecrets, signing_key
from services.errors import ApiError

KEY = b"k" * 32
SECRETS = ClientSecrets(KEY)
Json = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
Sessions = some.dictionaries(some.text(max_size=8), Json, max_size=4)
HEADER_LINE_BYTES = 8192 - len("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.")


@given(Sessions, some.integers(1, 2**40))
def test_what_was_signed_comes_back_until_it_expires(
    session: dict[str, Any], expires_at: int
) -> None:
    claims = Claims("key_1", expires_at, session)
    secret = SECRETS.issue(claims)
    assert secret.startswith("ek_")
    assert set(secret) <= set("-_.") | set(map(chr, range(48, 123)))  # a token of HTTP
    assert SECRETS.read(secret, expires_at - 1) == claims
    with pytest.raises(ApiError, match="has expired") as refusal:
        SECRETS.read(secret, expires_at)
    assert (refusal.value.status, refusal.value.code) == (401, "expired_client_secret")


@given(some.data())
def test_secret_that_was_altered_anywhere_is_refused(data: some.DataObject) -> None:
    secret = SECRETS.issue(Claims("key_1", 2**40, {"voice": "ann"}))
    at = data.draw(some.integers(0, len(secret) - 1))
    other = data.draw(some.characters().filter(lambda c: c != secret[at]))
    for wrong in (secret[:at] + other + secret[at + 1 :], secret[:at], secret + other):
        with pytest.raises(ApiError) as refusal:
            SECRETS.read(wrong, 0)
        assert refusal.value.code == "invalid_client_secret"


@given(some.text(max_size=300))
def test_text_that_is_no_secret_is_refused(text: str) -> None:
    for wrong in (text, f"ek_{text}", f"{text}.{text}"):
        with pytest.raises(ApiError):
            SECRETS.read(wrong, 0)


def test_another_key_signs_other_secrets() -> None:
    with pytest.raises(ApiError):
        ClientSecrets(b"x" * 32).read(SECRETS.issue(Claims("key_1", 2**40, {})), 0)


def test_settings_that_no_header_line_holds_are_refused() -> None:
    room = MAX_SESSION_BYTES - len('{"instructions":""}')
    largest = SECRETS.issue(Claims("key_1", 2**40, {"instructions": "x" * room}))
    assert len(largest) < HEADER_LINE_BYTES
    with pytest.raises(ApiError, match="must hold at most 4096") as refusal:
        SECRETS.issue(Claims("key_1", 2**40, {"instructions": "x" * (room + 1)}))
    assert (refusal.value.status, refusal.value.param) == (400, "session")


def test_workers_that_start_together_sign_with_one_private_key(tmp_path: Path) -> None:
    chosen = Settings(root=tmp_path, state_folder=Path("state"))
    with ThreadPoolExecutor(8) as many:
        keys = set(many.map(lambda _: signing_key(chosen), range(32)))
    assert len(keys) == 1
    assert len(next(iter(keys))) == 64
    assert stat.S_IMODE((tmp_path / "state" / "signing.key").stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["signing.key"]


def test_key_of_the_settings_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    chosen = Settings(root=tmp_path, signing_key=SecretStr("s" * 32))
    assert signing_key(chosen) == b"s" * 32
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="at least 32"):
        Settings(root=tmp_path, signing_key=SecretStr("short"))
