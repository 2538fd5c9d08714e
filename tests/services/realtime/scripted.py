"""A session without a socket and without a model: the test plays the engine."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from moss_speech.audio import Samples
from moss_speech.inference.questions import LIMITS
from moss_speech.inference.turns import (
    AudioDelta,
    Detection,
    Finish,
    Finished,
    LiveEvent,
    Output,
    Reply,
    TextDelta,
    Timings,
    Turn,
    Usage,
    Wish,
)
from moss_speech.lm.sampling import Sampling
from services.realtime.asked import EventError, read_event
from services.realtime.outbox import Outbox
from services.realtime.response import Response
from services.realtime.session import Session
from services.served import ModelInfo
from tests.services.realtime.checked import checked
from tests.services.realtime.grammar import Grammar

CODE_SAMPLES = 1920


@dataclass
class Facts:
    """What an engine says of itself."""

    voices: tuple[str, ...] = ("assistant", "ann")
    sample_rate_hz: int = 24000
    limits: Any = LIMITS
    bundle: Any = field(
        default_factory=lambda: SimpleNamespace(
            card=SimpleNamespace(about=SimpleNamespace(normalise_text=True))
        )
    )
    lineage: Any = field(default_factory=lambda: {"parents": {"corpus": "ab" * 32}})


@dataclass
class ScriptedTalk:
    """Notes the calls; what follows from them is the test's."""

    info: ModelInfo = field(default_factory=lambda: ModelInfo("moss-speech", "7", "cd" * 32))
    engine: Any = field(default_factory=Facts)
    unheard_s: float = 0.0
    calls: list[str] = field(default_factory=list)
    listening: tuple[int, Detection | None] | None = None
    heard: list[Samples] = field(default_factory=list)
    remembered: tuple[list[Turn], Output] | None = None
    asked: list[tuple[list[Turn], Wish]] = field(default_factory=list)

    def wish(self, output: Output, **chosen: Any) -> Wish:
        usual = Wish(output, Sampling(0.8, 20, 0.95, 1.0), 0, 500, "assistant")
        return replace(usual, **{k: v for k, v in chosen.items() if v is not None})

    def listen(self, rate_hz: int, detection: Detection | None) -> None:
        self.listening = (rate_hz, detection)

    def hear(self, samples_S: Samples) -> None:
        self.heard.append(samples_S)

    def hear_whole(self, samples_S: Samples) -> None:
        self.calls.append("hear_whole")
        self.heard.append(samples_S)

    def commit(self) -> None:
        self.calls.append("commit")

    def clear(self) -> None:
        self.calls.append("clear")

    def remember(self, turns: Sequence[Turn], output: Output) -> None:
        self.remembered = (list(turns), output)

    def respond(self, turns: Sequence[Turn], wish: Wish) -> None:
        self.calls.append("respond")
        self.asked.append((list(turns), wish))

    def cancel(self) -> None:
        self.calls.append("cancel")


class Stage:
    """A session, the test's hand on both of its sides, and every event checked."""

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.talk, self.now_s = ScriptedTalk(), 0.0
        self.outbox, self.grammar = Outbox(2**30), Grammar()
        self.answers: list[Response] = []
        self.spent: list[Usage] = []
        self.session = Session(
            self.talk,  # type: ignore[arg-type]
            self.outbox.put,
            on_answer=self.answers.append,
            on_spent=self.spent.append,
            clock=lambda: self.now_s,
        )
        self.session.open(settings)
        self.greeting = self.told()

    def told(self) -> list[dict[str, Any]]:
        """What the client was told since the last call."""
        events = []
        while not self.outbox.empty:
            events.append(checked(self.outbox._queue.get_nowait()))
            self.grammar.read(events[-1])
        return events

    def ask(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a client's event; what follows at once. An event that is refused is an error."""
        try:
            self.session.ask(read_event(json.dumps({"type": kind, **fields})))
        except EventError as error:
            return [{"type": "error", "error": error.error.body()["error"]}]
        return self.told()

    def happen(self, *events: LiveEvent) -> list[dict[str, Any]]:
        """Let the engine make something; what the client is told of it."""
        for event in events:
            self.session.happen(event)
        return self.told()

    def update(self, **session: Any) -> list[dict[str, Any]]:
        return self.ask("session.update", session={"type": "realtime", **session})

    def say_hello(self) -> str:
        """A user's text; its id."""
        item = {
            "type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "hello"}],
        }  # fmt: skip
        return str(self.ask("conversation.item.create", item=item)[0]["item"]["id"])


def sound(n_codes: float) -> AudioDelta:
    return AudioDelta(np.full(int(n_codes * CODE_SAMPLES), 0.25, np.float32))


def finished(n_codes: int = 0, text: str = "", finish: Finish = "stop") -> Finished:
    audio = np.zeros(n_codes * CODE_SAMPLES, np.float32)
    usage = Usage(11, 7, len(text), n_codes)
    return Finished(
        Reply(text, tuple(range(n_codes)), audio, 24000, finish, usage, Timings(0, 0, 0, 0))
    )


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


__all__ = ["Stage", "TextDelta", "finished", "sound", "types"]
