"""Streams that nobody reads: they end, and give back what they hold."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from starlette.types import Message

from services import exchange
from services.exchange import Exchange, Streamed


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"sound"


class Unread(Exchange):
    """An exchange that notes how it ends."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.talk = SimpleNamespace(close=lambda: self.ends.append("closed"))  # type: ignore[assignment]

    def headers(self, spoken: bool) -> dict[str, str]:
        return {}

    def unread(self) -> None:
        self.ends.append("unread")


def test_client_that_does_not_read_its_stream_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_UNREAD_S", 0.05)
    unread, n_sent = Unread(), 0

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def full_after_three(message: Message) -> None:
        nonlocal n_sent
        n_sent += 1
        if n_sent > 3:
            await asyncio.Event().wait()

    async def send_it() -> None:
        response = Streamed(unread, endless(), "audio/pcm", spoken=True)
        await asyncio.wait_for(response({"type": "http"}, never, full_after_three), 10)

    asyncio.run(send_it())
    assert unread.ends == ["unread", "closed"]
