"""Answers whose clients do not read them, or leave: they end, are counted, and hold nothing."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.types import Message

from moss_speech.inference.turns import AudioDelta, LiveEvent, TextDelta
from services import exchange
from services.exchange import Exchange, Streamed
from services.served import ModelInfo


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"sound"


class Unread(Exchange):
    """An exchange that notes how it ends."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def close(self) -> None:
        self.ends.append("closed")

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


def test_answer_that_its_client_left_is_counted_once() -> None:
    pieces: list[LiveEvent] = [AudioDelta(np.zeros(2000, np.float32)), TextDelta("two")]
    spent: list[tuple[str, int]] = []

    async def piece() -> LiveEvent:
        return pieces.pop(0)

    talk: Any = SimpleNamespace(
        info=ModelInfo("moss-speech", "7", "ab" * 32),
        engine=SimpleNamespace(sample_rate_hz=24000, listening_rate_hz=16000, code_ms=80.0),
        listen=lambda rate_hz, detection: None,
        respond=lambda turns, wish: None,
        next=piece,
        close=lambda: None,
    )
    runtime: Any = SimpleNamespace(spend=lambda caller, tokens: spent.append((caller, tokens)))
    caller: Any = "ann"
    wish: Any = None
    left = Exchange(runtime, caller, talk)

    async def read_both() -> None:
        events = left.answer([], wish)
        await anext(events)
        await anext(events)

    asyncio.run(read_both())
    left.close()
    left.close()
    assert spent == [("ann", 3)]  # 2000 samples are a code and a piece of one; a row of text
