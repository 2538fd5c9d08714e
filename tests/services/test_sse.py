"""Streams of events that fail under way: the status was sent, so the last event tells it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moss_speech.inference.turns import QuestionError
from services.errors import ApiError
from services.sse import sse, sse_events


def sent_before(failure: BaseException) -> list[dict[str, Any]]:
    """What a client reads of a stream whose second event fails to be made."""

    async def failing() -> AsyncIterator[str]:
        yield sse({"delta": "grün\nund rot"})
        raise failure

    async def read() -> list[str]:
        return [event async for event in sse_events(failing())]

    text = "".join(asyncio.run(read()))
    return [json.loads(part.removeprefix("data: ")) for part in text.strip().split("\n\n")]


def test_refusal_is_the_last_event_with_its_code() -> None:
    first, last = sent_before(QuestionError("conversation_too_long", "too long, at most 9 rows"))
    assert first == {"delta": "grün\nund rot"}
    assert last["error"]["code"] == "conversation_too_long"
    assert last["error"]["type"] == "invalid_request_error"


def test_failed_engine_is_told_as_what_it_is() -> None:
    engine = ApiError(500, "the engine failed", code="engine_failed", kind="server_error")
    assert sent_before(engine)[-1] == engine.body()


def test_failure_is_told_without_its_inside_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    last = sent_before(RuntimeError("secret of the inside"))[-1]
    assert last["error"]["type"] == "server_error"
    assert "secret" not in json.dumps(last)
    assert "secret of the inside" in caplog.text


def test_client_that_leaves_ends_the_stream_at_once() -> None:
    with pytest.raises(asyncio.CancelledError):
        sent_before(asyncio.CancelledError())
