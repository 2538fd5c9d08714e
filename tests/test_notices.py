"""Notices against a real receiver that is well, down, slow, broken or moved."""

import hashlib
import hmac
import socket
import threading
import time
from pathlib import Path

import pytest

from moss_speech import notices
from moss_speech.notices import MAX_REASON_CHARS, SIGNATURE, Notice, notify
from moss_speech.settings import settings
from tests.receiver import receiving

NOTICE = Notice("refused", "promote/calm-owl", "s2s is 0.640, must be at least 0.720", 5)


@pytest.fixture(autouse=True)
def quick(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PATIENCE_S", 0.5)
    monkeypatch.setattr(notices, "REST_S", 0.05)
    monkeypatch.setattr(notices, "DEADLINE_S", 4.0)


def tell(
    monkeypatch: pytest.MonkeyPatch, url: str, notice: Notice = NOTICE, secret: str = ""
) -> bool:
    monkeypatch.setenv("MOSS_WEBHOOK_URL", url)
    if secret:
        monkeypatch.setenv("MOSS_WEBHOOK_SECRET", secret)
    settings.cache_clear()
    return notify(notice)


def test_nothing_is_sent_without_an_address() -> None:
    assert notify(NOTICE) is False


def test_notice_says_what_happened_and_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a secret of sixteen"
    with receiving() as receiver:
        assert tell(monkeypatch, receiver.url, secret=secret)
    (said,), (headers,) = receiver.notices, receiver.headers
    assert (said["kind"], said["version"], said["run"]) == ("refused", 5, "promote/calm-owl")
    assert said["reason"] == NOTICE.reason
    wanted = hmac.new(secret.encode(), receiver.bodies[0], hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={wanted}"
    assert secret.encode() not in receiver.bodies[0]


def test_no_secret_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        assert tell(monkeypatch, receiver.url)
    assert SIGNATURE not in receiver.headers[0]


def test_receiver_that_recovers_gets_the_same_notice_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(500, 503, 200) as receiver:
        assert tell(monkeypatch, receiver.url)
    assert len(receiver.bodies) == 3
    assert len(set(receiver.bodies)) == 1  # its id tells that it is one


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (429, 3), (404, 1), (401, 1), (302, 1)])
def test_what_is_not_taken_is_said_in_the_log_without_address_and_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int, tries: int
) -> None:
    with receiving(status) as receiver:
        assert not tell(monkeypatch, receiver.url, secret="a secret of sixteen")
    assert len(receiver.bodies) == tries
    assert f"status {status}" in caplog.text
    assert "s3cret-path" not in caplog.text
    assert "a secret" not in caplog.text


def test_receiver_that_is_down_costs_three_tries(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert not tell(monkeypatch, f"http://127.0.0.1:{port}/s3cret-path")
    assert "not taken" in caplog.text
    assert "s3cret-path" not in caplog.text


def test_slow_receiver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(200, wait_s=1.0) as receiver:
        assert not tell(monkeypatch, receiver.url)


def test_receiver_that_answers_a_byte_at_a_time_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "DEADLINE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 40:
                    time.sleep(0.1)
                    connection.send(bytes([byte]))

        threading.Thread(target=trickle, daemon=True).start()
        assert not tell(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert "within 1 s" in caplog.text


def test_long_reason_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        assert tell(monkeypatch, receiver.url, Notice("failed", "train/a", "x" * 100_000))
    assert len(receiver.notices[0]["reason"]) == MAX_REASON_CHARS


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "file:///etc/passwd", "hook"])
def test_address_that_is_none_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(ValueError, match="MOSS_WEBHOOK_URL cannot be used") as found:
        tell(monkeypatch, url)
    assert url not in str(found.value).replace("http://HOST", "")
