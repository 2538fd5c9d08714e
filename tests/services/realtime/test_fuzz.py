"""Any events in any order, to a real server: it answers by the protocol and lives on."""

import json
import os
import time
from typing import Any, ClassVar

import httpx
import pytest
import websockets
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from websockets.sync.client import ClientConnection, connect

from services.realtime.asked import _CLASSES
from tests.services.conftest import Server
from tests.services.realtime.checked import checked
from tests.services.realtime.grammar import Grammar
from tests.services.realtime.line import base64_of, is_overload, message, question

LONG_RUN = int(os.environ.get("MOSS_FUZZ_EXAMPLES", "300"))
STEPS = 40
QUESTION = question(silence_s=0.8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(["session", "item", "response", "audio", "item_id", "audio_end_ms", "x"])
SESSIONS: list[dict[str, Any]] = [
    {"audio": {"input": {"turn_detection": None}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}}},
    {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcm"}}}},
    {"audio": {"output": {"format": {"type": "audio/pcma"}}}},
    {"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
    {"output_modalities": ["text"]},
    {"output_modalities": ["audio"]},
    {"truncation": "disabled"},
    {"max_output_tokens": 300},
    {"tools": [{"type": "function"}]},
]
RESPONSES: list[dict[str, Any]] = [
    {},
    {"output_modalities": ["text"]},
    {"conversation": "none", "input": []},
    {"conversation": "none", "input": [message("hello")]},
    {"max_output_tokens": 1},
    {"instructions": "be brief"},
    {"input": [{"type": "item_reference", "id": "nothing"}]},
]


class Client(RuleBasedStateMachine):
    """A client that does what it likes."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.socket = self._enter()
        self.grammar = Grammar()

    def _enter(self) -> ClientConnection:
        """A session, tried for a minute while the server has no room for one."""
        for _ in range(60):
            try:
                return connect(self.url, max_size=None, close_timeout=2)
            except websockets.InvalidStatus as error:
                assert is_overload(error)
                time.sleep(1)
        raise TimeoutError("the server had no room for a minute")

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def drain(self, wait_s: float = 0.0) -> None:
        """Read what there is."""
        while True:
            try:
                event = checked(self.socket.recv(timeout=wait_s))
            except TimeoutError:
                return
            self.grammar.read(event)

    def some_item(self, choice: int) -> str:
        items = sorted(self.grammar.items)
        return items[choice % len(items)] if items else "nothing"

    @initialize(manual=st.booleans())
    def begin(self, manual: bool) -> None:
        if manual:
            self.send("session.update", session={"type": "realtime", **SESSIONS[0]})

    @rule(kind=st.sampled_from(sorted(_CLASSES)), fields=st.dictionaries(FIELDS, JSON))
    def any_event(self, kind: str, fields: dict[str, Any]) -> None:
        self.send(kind, **fields)

    @rule(frame=st.text(max_size=40) | st.binary(max_size=40))
    def any_frame(self, frame: str | bytes) -> None:
        self.socket.send(frame)

    @rule(session=st.sampled_from(SESSIONS))
    def update(self, session: dict[str, Any]) -> None:
        self.send("session.update", session={"type": "realtime", **session})

    @rule(begin=st.floats(0, 1), share=st.floats(0, 1))
    def speak(self, begin: float, share: float) -> None:
        size = len(QUESTION) // 2
        start = 2 * int(begin * size)
        piece = QUESTION[start : start + 2 * int(share * size)]
        self.send("input_audio_buffer.append", audio=base64_of(piece))

    @rule()
    def ask(self) -> None:
        self.send("input_audio_buffer.append", audio=base64_of(QUESTION))

    @rule(data=st.binary(max_size=300))
    def append(self, data: bytes) -> None:
        self.send("input_audio_buffer.append", audio=base64_of(data))

    @rule()
    def commit(self) -> None:
        self.send("input_audio_buffer.commit")

    @rule()
    def clear(self) -> None:
        self.send("input_audio_buffer.clear")

    @rule(item_id=st.none() | st.sampled_from(["a", "b"]), after=st.integers(0, 9))
    def write(self, item_id: str | None, after: int) -> None:
        place = {"previous_item_id": self.some_item(after)} if after < 5 else {}
        self.send("conversation.item.create", item=message(id=item_id), **place)

    @rule()
    def record(self) -> None:
        content = [{"type": "input_audio", "audio": base64_of(QUESTION)}]
        self.send("conversation.item.create", item=message() | {"content": content})

    @rule(response=st.sampled_from(RESPONSES))
    def respond(self, response: dict[str, Any]) -> None:
        self.send("response.create", response=response)

    @rule()
    def cancel(self) -> None:
        self.send("response.cancel")

    @rule(choice=st.integers(0, 99), end_ms=st.integers(0, 3000))
    def truncate(self, choice: int, end_ms: int) -> None:
        item_id = self.some_item(choice)
        self.send(
            "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms
        )

    @rule(choice=st.integers(0, 99), verb=st.sampled_from(["retrieve", "delete"]))
    def look(self, choice: int, verb: str) -> None:
        self.send(f"conversation.item.{verb}", item_id=self.some_item(choice))

    @rule(wait_s=st.floats(0, 0.2))
    def listen(self, wait_s: float) -> None:
        self.drain(wait_s)

    def teardown(self) -> None:
        """The session still answers to its name, and an answer still comes."""
        try:
            self.send("session.update", session={"type": "realtime"})
            self._await("session.updated")
            if self.grammar.response is not None:
                self.send("response.cancel")
                self._await("response.done", "error")
        finally:
            self.socket.close()

    def _await(self, *kinds: str) -> None:
        while True:
            event = checked(self.socket.recv(timeout=60))
            self.grammar.read(event)
            if event["type"] in kinds:
                return


def fuzz(server: Server, n_examples: int) -> None:
    Client.url = server.url.replace("http", "ws") + "/v1/realtime"
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Client,
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert "Traceback" not in server.log.read_text()


@pytest.mark.timeout(300)
def test_any_events_in_any_order(server: Server) -> None:
    fuzz(server, 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_very_many_events_in_any_order(server: Server) -> None:
    fuzz(server, LONG_RUN)
