"""The log: one line an entry, with ids, and no secret in it however it is written."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextvars import Context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ids import bind, bound
from services.logs import HIDDEN, JsonFormatter, PlainFormatter, configure_logs, redact

FORMATTERS = [JsonFormatter(), PlainFormatter()]
TOKENS = st.text("abcXYZ0189_-", min_size=16, max_size=64)


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("moss_speech.service", logging.INFO, __file__, 1, message, args, None)
    made.fields = fields
    return made


@given(token=TOKENS, before=st.sampled_from(["", "key=", "'", '"', "Bearer ", "\n"]))
def test_keys_and_client_secrets_are_hidden(token: str, before: str) -> None:
    for secret in (f"ms-{token}", f"sk-{token}", f"ek_{token}.{token}"):
        for formatter in FORMATTERS:
            for entry in (
                record(f"sent {before}{secret} here"),
                record("sent %s", f"{before}{secret}"),
                record("sent", header=f"{before}{secret}"),
            ):
                line = formatter.format(entry)
                assert token not in line
                assert HIDDEN in line


@given(token=TOKENS)
def test_authorization_is_hidden_whatever_it_holds(token: str) -> None:
    for header in (
        f"Authorization: Bearer {token}",
        f"authorization: {token}",
        f"{{'authorization': 'Basic {token}'}}",
        f'{{"Authorization":"Bearer {token}"}}',
        f"[(b'authorization', b'Bearer {token}')]",
    ):
        assert token not in redact(header)
        assert all(token not in f.format(record(header)) for f in FORMATTERS)


def test_other_words_are_left_alone() -> None:
    text = "9 ms-precise items, week_end, bearer of news"
    assert redact("sess_1 req_2 audio_0123456789abcdef") == "sess_1 req_2 audio_0123456789abcdef"
    assert redact("12 ms and ms-x") == "12 ms and ms-x"
    assert "week_end" in redact(text)


@given(st.text())
def test_an_entry_is_one_line_of_json_whatever_the_message(message: str) -> None:
    line = JsonFormatter().format(record("%s", message))
    assert len(line.splitlines()) == 1 or "\n" not in line
    assert {"time", "level", "logger", "process", "message"} <= json.loads(line).keys()


@given(st.text())
def test_a_message_cannot_forge_a_second_line(message: str) -> None:
    assert len(PlainFormatter().format(record("%s", message)).splitlines()) <= 1


def test_a_task_hands_its_ids_on_and_another_has_its_own() -> None:
    async def inner() -> str:
        bind(response="resp_1")
        return JsonFormatter().format(record("answered", audio_ms=80))

    async def outer(name: str) -> tuple[str, object]:
        bind(session=name)
        return await asyncio.create_task(inner()), bound()

    async def both() -> list[tuple[str, object]]:
        return await asyncio.gather(outer("sess_1"), outer("sess_2"))

    found = Context().run(lambda: asyncio.run(both()))  # whatever other tests have bound
    for name, (line, ids) in zip(("sess_1", "sess_2"), found, strict=True):
        fields = json.loads(line)
        assert (fields["session"], fields["response"], fields["audio_ms"]) == (name, "resp_1", 80)
        assert ids == {"session": name}


def test_a_traceback_is_a_field_and_hides_secrets() -> None:
    try:
        raise RuntimeError("refused ek_0123456789abcdef")
    except RuntimeError as error:
        failed = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed", None, (type(error), error, None)
        )
    fields = json.loads(JsonFormatter().format(failed))
    assert f"refused {HIDDEN}" in fields["error"]


@pytest.fixture
def kept_logging() -> Iterator[None]:
    names = ("", "bentoml", "uvicorn", "uvicorn.error", "uvicorn.access", "circus", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    kept = [(one, one.handlers, one.propagate, one.level) for one in loggers]
    yield
    logging.captureWarnings(False)
    for one, handlers, propagate, level in kept:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_the_frameworks_write_the_same_lines(
    kept_logging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    logging.getLogger("uvicorn.error").handlers = [logging.StreamHandler(out)]
    configure_logs("json")
    logging.getLogger("uvicorn.error").warning("from uvicorn")
    logging.getLogger("bentoml.access").error("from bentoml")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["from uvicorn", "from bentoml"]
