"""Settings that are accepted with their effective value, and events that are refused by name."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.realtime.asked import EventError, read_event
from tests.services.realtime.checked import checked
from tests.services.realtime.scripted import Stage, types

DATA = base64.b64encode(bytes(4800)).decode()


def text_item(role: str = "user", **more: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": "hello"}]
    return {"type": "message", "role": role, "content": content, **more}


def test_settings_that_nothing_implements_are_echoed_as_they_take_effect() -> None:
    [updated] = Stage().update(
        model="moss-speech",
        output_modalities=["audio"],
        max_output_tokens="inf",
        tools=[],
        tool_choice="auto",
        tracing="auto",
        prompt=None,
        parallel_tool_calls=True,
        reasoning={"effort": "low"},
        include=["item.input_audio_transcription.logprobs"],
        truncation={"type": "retention_ratio", "retention_ratio": 0.8},
        audio={
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
            },
            "output": {"voice": {"id": "marin"}, "speed": 1.0},
        },
    )
    session = updated["session"]
    heard = session["audio"]["input"]
    assert heard["turn_detection"]["type"] == "server_vad"
    assert heard["noise_reduction"] is heard["transcription"] is None
    assert session["audio"]["output"]["voice"] == "assistant"
    assert session["tracing"] is session["prompt"] is session["include"] is None
    assert session["truncation"] == session["tool_choice"] == "auto"
    assert session["max_output_tokens"] == "inf"


def test_settings_that_are_left_out_stay() -> None:
    stage = Stage()
    stage.update(
        instructions="be kind",
        max_output_tokens=7,
        audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}},
    )
    detection = {"type": "server_vad", "silence_duration_ms": 200}
    [updated] = stage.update(audio={"input": {"turn_detection": detection}})
    session = updated["session"]
    assert session["instructions"] == "be kind"
    assert session["max_output_tokens"] == 7
    found = session["audio"]["input"]["turn_detection"]
    assert (found["threshold"], found["silence_duration_ms"]) == (0.7, 200)
    [updated] = stage.update(audio={"input": {"turn_detection": None}})
    assert updated["session"]["audio"]["input"]["turn_detection"] is None
    [updated] = stage.update(instructions="", audio={"input": {"noise_reduction": None}})
    assert updated["session"]["audio"]["input"]["turn_detection"] is None
    assert updated["session"]["instructions"] == ""


def test_null_is_what_was_left_out_where_nothing_can_be_switched_off() -> None:
    [updated] = Stage().update(
        instructions=None, output_modalities=None, audio={"output": {"speed": None, "voice": None}}
    )
    assert updated["session"]["audio"]["output"]["speed"] == 1.0


SESSIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": [{"type": "function", "name": "f"}]}, "session.tools", "invalid_value"),
    ({"tools": [{"type": "mcp", "server_label": "m"}]}, "session.tools", "invalid_value"),
    ({"tool_choice": "required"}, "session.tool_choice", "invalid_value"),
    ({"prompt": {"id": "p"}}, "session.prompt", "invalid_value"),
    ({"audio": {"output": {"speed": 1.2}}}, "session.audio.output.speed", "invalid_value"),
    ({"audio": {"output": {"voice": "nobody"}}}, "session.audio.output.voice", "unknown_voice"),
    ({"output_modalities": ["audio", "text"]}, "session.output_modalities", "invalid_value"),
    ({"max_output_tokens": 0}, "session.max_output_tokens", "invalid_value"),
    ({"max_output_tokens": "many"}, "session.max_output_tokens", "invalid_value"),
    ({"temperature": 0.8}, "session.temperature", "unknown_parameter"),
    ({"foo": None}, "session.foo", "unknown_parameter"),
    ({"model": "another"}, "session.model", "model_not_found"),
    ({"type": "transcription"}, "session.type", "invalid_value"),
    (
        {"audio": {"input": {"format": {"type": "audio/opus"}}}},
        "session.audio.input.format.type",
        "invalid_value",
    ),
    (
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
        "session.audio.input.format.rate",
        "invalid_value",
    ),
    (
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}}},
        "session.audio.input.turn_detection.threshold",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("wish", "param", "code"), SESSIONS)
def test_settings_that_cannot_be_are_refused_and_change_nothing(
    wish: dict[str, Any], param: str, code: str
) -> None:
    stage = Stage()
    [error] = stage.update(**{"instructions": "changed", **wish})
    assert (error["error"]["param"], error["error"]["code"]) == (param, code)
    assert stage.update()[0]["session"] == stage.greeting[0]["session"]


EVENTS: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("foo", {}, "type", "unknown_event"),
    ("output_audio_buffer.clear", {}, "type", "unsupported_event"),
    ("session.update", {}, "session", "missing_required_parameter"),
    ("input_audio_buffer.append", {}, "audio", "missing_required_parameter"),
    ("input_audio_buffer.append", {"audio": "not base64!"}, "audio", "invalid_value"),
    ("input_audio_buffer.append", {"audio": "AAA"}, "audio", "invalid_value"),
    ("input_audio_buffer.append", {"audio": 7}, "audio", "invalid_value"),
    ("input_audio_buffer.append", {"audio": "AAAA"}, "audio", "audio_odd_bytes"),
    ("input_audio_buffer.append", {"audio": "AA" * 4_000_000}, "audio", "audio_too_long"),
    ("input_audio_buffer.commit", {"now": True}, "now", "unknown_parameter"),
    ("conversation.item.retrieve", {"item_id": "x"}, "item_id", "item_retrieve_invalid_item_id"),
    ("conversation.item.delete", {"item_id": "x"}, "item_id", "item_delete_invalid_item_id"),
    (
        "conversation.item.truncate",
        {"item_id": "x", "content_index": 0, "audio_end_ms": 0},
        "item_id",
        "item_truncate_invalid_item_id",
    ),
    (
        "conversation.item.truncate",
        {"item_id": "x", "content_index": 1, "audio_end_ms": 0},
        "content_index",
        "invalid_value",
    ),
    (
        "conversation.item.create",
        {"item": text_item(), "previous_item_id": "nowhere"},
        "previous_item_id",
        "invalid_previous_item_id",
    ),
    (
        "conversation.item.create",
        {"item": {"type": "function_call", "name": "f", "arguments": "{}"}},
        "item.type",
        "invalid_value",
    ),
    (
        "conversation.item.create",
        {"item": text_item(content=[{"type": "input_image", "image_url": "data:"}])},
        "item.content[0].type",
        "invalid_value",
    ),
    ("conversation.item.create", {"item": text_item(content=[])}, "item.content", "invalid_value"),
    ("conversation.item.create", {"item": text_item(colour=1)}, "item.colour", "unknown_parameter"),
    (
        "conversation.item.create",
        {"item": text_item(content=[{"type": "input_text", "text": " "}])},
        "item.content",
        "empty_text",
    ),
    (
        "conversation.item.create",
        {"item": text_item(content=[{"type": "input_text", "text": "?!"}])},
        "item.content",
        "empty_text",
    ),
    (
        "conversation.item.create",
        {"item": text_item(content=[{"type": "input_text", "text": "a" * 10_001}])},
        "item.content[0].text",
        "invalid_value",
    ),
    (
        "conversation.item.create",
        {"item": text_item("assistant", content=[{"type": "input_text", "text": "hm"}])},
        "item",
        "invalid_value",
    ),
    (
        "conversation.item.create",
        {"item": text_item(content=[{"type": "input_audio", "audio": "AAAA"}])},
        "item.content[0].audio",
        "audio_odd_bytes",
    ),
    ("response.cancel", {}, "response_id", "response_cancel_not_active"),
    ("response.create", {"response": {"tools": [{}]}}, "response.tools", "invalid_value"),
    (
        "response.create",
        {"response": {"conversation": "other"}},
        "response.conversation",
        "invalid_value",
    ),
    (
        "response.create",
        {"response": {"metadata": {"k": "v" * 513}}},
        "response.metadata.k",
        "invalid_value",
    ),
    (
        "response.create",
        {"response": {"input": [{"type": "item_reference", "id": "x"}]}},
        "item_id",
        "item_retrieve_invalid_item_id",
    ),
    (
        "response.create",
        {"response": {"input": [text_item(content=[{"type": "input_audio", "audio": DATA}])]}},
        "response.input",
        "unsupported_content",
    ),
    (
        "response.create",
        {"response": {"audio": {"output": {"voice": "nobody"}}}},
        "response.audio.output.voice",
        "unknown_voice",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "param", "code"), EVENTS)
def test_bad_event_is_refused_by_name_and_the_session_goes_on(
    kind: str, fields: dict[str, Any], param: str | None, code: str
) -> None:
    stage = Stage()
    [error] = stage.ask(kind, event_id="cause", **fields)
    assert (error["error"]["param"], error["error"]["code"]) == (param, code)
    assert error["error"]["type"] == "invalid_request_error"
    assert "nobody" not in error["error"]["message"]
    assert stage.session.calm.is_set()
    assert "respond" not in stage.talk.calls
    stage.say_hello()
    assert types(stage.ask("response.create")) == ["response.created"]


def test_error_names_the_event_that_caused_it() -> None:
    stage = Stage()
    [error] = stage.ask("response.cancel", event_id="cause")
    assert error["error"]["event_id"] == "cause"
    with pytest.raises(EventError) as refused:
        read_event('{"type": "foo", "event_id": "cause"}')
    assert refused.value.event_id == "cause"


def test_two_answers_at_once_are_refused() -> None:
    stage = Stage()
    stage.ask("response.create")
    [error] = stage.ask("response.create")
    assert error["error"]["code"] == "conversation_already_has_active_response"


def test_two_items_of_one_id_are_refused() -> None:
    stage = Stage()
    stage.ask("conversation.item.create", item=text_item(id="one"))
    [error] = stage.ask("conversation.item.create", item=text_item(id="one"))
    assert error["error"]["code"] == "duplicate_item_id"
    assert error["error"]["param"] == "item.id"


def test_history_of_both_sides_can_be_written() -> None:
    stage = Stage()
    for role in ("system", "user", "assistant"):
        added, done = stage.ask("conversation.item.create", item=text_item(role))
        assert added["item"]["role"] == done["item"]["role"] == role
    [deleted] = stage.ask("conversation.item.delete", item_id=added["item"]["id"])
    assert deleted["type"] == "conversation.item.deleted"


@given(st.text(max_size=200) | st.binary(max_size=50).map(lambda b: b.decode("latin-1")))
def test_any_text_is_an_event_or_refused(text: str) -> None:
    with pytest.raises(EventError) as refused:
        read_event(text)
    assert refused.value.error.code in ("invalid_json", "unknown_event")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
NAMES = ["type", "session", "item", "response", "audio", "item_id", "audio_end_ms", "event_id"]
KINDS = [
    "session.update",
    "input_audio_buffer.append",
    "conversation.item.create",
    "response.create",
]


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_object_is_an_event_or_refused_with_a_valid_error(
    kind: str, fields: dict[str, Any]
) -> None:
    stage = Stage()
    for event in stage.ask(kind, **{k: v for k, v in fields.items() if k != "type"}):
        assert event["type"]
    assert stage.update()[0]["type"] == "session.updated"


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '{"type": NaN}', "[" * 100_000])
def test_what_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(EventError) as refused:
        read_event(text)
    assert refused.value.error.code == "invalid_json"


def test_the_check_itself_refuses_what_is_not_of_the_protocol() -> None:
    good = '{"type": "input_audio_buffer.cleared", "event_id": "event_1"}'
    assert checked(good)["event_id"] == "event_1"
    for bad in (
        good.replace("cleared", "emptied"),
        good.replace("}", ', "more": 1}'),
        '{"type": "input_audio_buffer.cleared"}',
        '{"type": "conversation.item.deleted", "event_id": "event_1", "item_id": 1}',
    ):
        with pytest.raises((AssertionError, ValueError)):
            checked(bad)
