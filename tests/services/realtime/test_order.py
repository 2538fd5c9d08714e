"""The order of events and what they hold, with the test in the engine's place."""

import base64
from typing import Any

import numpy as np
import pytest

from moss_speech.inference.turns import Heard, Refused, SpeechStarted, SpeechStopped, Turn
from moss_speech.lm.grid import SYSTEM
from moss_speech.settings import settings
from services.errors import ApiError
from tests.services.realtime.scripted import Stage, TextDelta, finished, sound, types

SPOKEN = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
]
SPOKEN_END = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
COMMITTED = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
MANUAL = {"audio": {"input": {"turn_detection": None}}}
SECOND = base64.b64encode(bytes(48000)).decode()


def speak(stage: Stage, codes: tuple[int, ...] = (1, 2, 3)) -> list[dict[str, Any]]:
    """A turn that voice activity finds."""
    return stage.happen(SpeechStarted(100), SpeechStopped(900), Heard(codes, 100, 600))


def test_session_begins_with_its_effective_settings() -> None:
    created, conversation = Stage().greeting
    assert created["type"] == "session.created"
    assert conversation["type"] == "conversation.created"
    session = created["session"]
    assert session["model"] == "moss-speech"
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "assistant",
        "speed": 1.0,
    }
    assert session["output_modalities"] == ["audio"]


def test_spoken_turn_is_answered_in_the_documented_order() -> None:
    stage = Stage()
    events = speak(stage) + stage.happen(sound(2), sound(1), finished(3))
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        *COMMITTED,
        "response.created",
        *SPOKEN,
        "response.output_audio.delta",
        *SPOKEN_END,
    ]
    started, stopped, committed, added, item_done, created, output_added = events[:7]
    assert started["audio_start_ms"] == 100
    assert stopped["audio_end_ms"] == 900
    user_id = started["item_id"]
    assert stopped["item_id"] == committed["item_id"] == added["item"]["id"] == user_id
    assert item_done["item"]["status"] == "completed"
    assert output_added["item"]["status"] == "in_progress"
    assert output_added["item"]["content"] == []
    done = events[-1]["response"]
    assert done["id"] == created["response"]["id"]
    assert done["status"] == "completed"
    assert done["output"][0]["id"] == output_added["item"]["id"]
    assert done["output"][0]["status"] == "completed"
    assert done["usage"]["input_token_details"]["audio_tokens"] == 7
    assert done["usage"]["total_tokens"] == 11 + 7 + 3
    assert stage.spent[0].reply_audio_rows == 3
    assert done["metadata"]["moss.version"] == "7"
    assert done["metadata"]["moss.digest"] == "cd" * 32
    assert done["metadata"]["moss.lineage"].startswith("corpus:abab")
    assert all(len(v) <= 512 for v in done["metadata"].values())
    turns, wish = stage.talk.asked[0]
    assert turns == [Turn("system", text=SYSTEM["audio"]), Turn("user", codes=(1, 2, 3))]
    assert wish.drop_oldest
    assert stage.talk.remembered == ([*turns, Turn("assistant", codes=(0, 1, 2))], "audio")


def test_sound_that_is_sent_is_the_sound_that_was_made() -> None:
    stage = Stage()
    stage.say_hello()
    stage.ask("response.create")
    events = stage.happen(sound(2), sound(1), finished(3))
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    data = b"".join(base64.b64decode(d) for d in deltas)
    assert np.array_equal(np.frombuffer(data, "<i2"), np.full(3 * 1920, round(0.25 * 32767)))
    item_id = events[0]["item"]["id"]
    [found] = stage.ask("conversation.item.retrieve", item_id=item_id)
    assert base64.b64decode(found["item"]["content"][0]["audio"]) == data


def test_written_answer_has_text_events_and_no_audio() -> None:
    stage = Stage()
    stage.say_hello()
    assert types(stage.ask("response.create", response={"output_modalities": ["text"]})) == [
        "response.created"
    ]
    assert stage.talk.asked[0][0][0] == Turn("system", text=SYSTEM["text"])
    assert stage.talk.asked[0][1].output == "text"
    events = stage.happen(TextDelta("it is "), TextDelta("green"), finished(text="it is green"))
    assert types(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[5]["text"] == events[6]["part"]["text"] == "it is green"
    assert events[-1]["response"]["output"][0]["content"] == [
        {"type": "output_text", "text": "it is green"}
    ]


def test_barge_in_ends_the_answer_and_keeps_what_was_sent() -> None:
    stage = Stage()
    speak(stage)
    stage.happen(sound(2.5))
    events = stage.happen(SpeechStarted(2000), sound(4), finished(9, finish="cancelled"))
    assert types(events) == ["input_audio_buffer.speech_started", *SPOKEN_END]
    response = events[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete"
    assert stage.talk.calls[-1] == "cancel"
    assert stage.talk.remembered is not None
    assert stage.talk.remembered[0][-1] == Turn("assistant", codes=(0, 1, 2))
    item_id = response["output"][0]["id"]
    [truncated] = stage.ask(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=81
    )
    assert truncated["audio_end_ms"] == 81
    assert stage.talk.remembered[0][-1] == Turn("assistant", codes=(0, 1))
    [found] = stage.ask("conversation.item.retrieve", item_id=item_id)
    assert len(base64.b64decode(found["item"]["content"][0]["audio"])) == 81 * 48


def test_nothing_is_asked_of_the_engine_until_a_cancelled_answer_has_ended() -> None:
    stage = Stage()
    speak(stage)
    stage.happen(sound(1))
    assert stage.session.calm.is_set()
    stage.ask("response.cancel")
    assert not stage.session.calm.is_set()
    events = stage.happen(finished(1, finish="cancelled"))
    assert events[-1]["response"]["status_details"]["reason"] == "client_cancelled"
    assert stage.session.calm.is_set()


def test_answer_that_is_cancelled_before_its_first_sound_has_no_item() -> None:
    stage = Stage()
    speak(stage)
    stage.ask("response.cancel")
    [done] = stage.happen(finished(0, finish="cancelled"))
    assert done["response"]["output"] == []
    assert done["response"]["status"] == "cancelled"


def test_without_interruption_the_next_answer_waits_for_the_first() -> None:
    stage = Stage()
    stage.update(
        audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    speak(stage)
    stage.happen(sound(1))
    assert "response.created" not in types(speak(stage, (4,)))
    events = stage.happen(finished(1))
    assert types(events)[-2:] == ["response.done", "response.created"]
    assert events[-2]["response"]["status"] == "completed"


def test_without_create_response_turns_are_only_kept() -> None:
    stage = Stage()
    stage.update(
        audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}
    )
    assert types(speak(stage))[-1] == "conversation.item.done"
    assert "respond" not in stage.talk.calls
    assert types(stage.ask("response.create")) == ["response.created"]


def test_manual_turn_is_committed_before_anything_else_is_asked() -> None:
    stage = Stage()
    stage.update(**MANUAL)
    assert stage.talk.listening == (24000, None)
    assert stage.ask("input_audio_buffer.append", audio=SECOND) == []
    assert stage.ask("input_audio_buffer.commit") == []
    assert not stage.session.calm.is_set()
    events = stage.happen(Heard((5, 6), 0, 1000))
    assert types(events) == COMMITTED
    assert stage.session.calm.is_set()
    [found] = stage.ask("conversation.item.retrieve", item_id=events[0]["item_id"])
    assert found["item"]["content"][0]["audio"] == SECOND


def test_commit_of_an_empty_buffer_is_refused_with_the_protocols_code() -> None:
    stage = Stage()
    stage.update(**MANUAL)
    stage.ask("input_audio_buffer.commit", event_id="mine")
    [error] = stage.happen(Refused("commit", "buffer_empty", "the buffer is empty"))
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    assert error["error"]["event_id"] == "mine"
    assert stage.session.calm.is_set()


def test_transcripts_that_a_client_waits_for_are_sent_empty() -> None:
    stage = Stage()
    [updated] = stage.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert updated["session"]["audio"]["input"]["transcription"] is None
    events = speak(stage)
    [transcribed] = [e for e in events if e["type"].endswith("transcription.completed")]
    assert transcribed["transcript"] == ""
    assert transcribed["item_id"] == events[0]["item_id"]
    assert transcribed["usage"] == {"type": "duration", "seconds": 0.6}


def test_answer_at_its_limit_is_incomplete() -> None:
    stage = Stage()
    stage.say_hello()
    [created] = stage.ask("response.create", response={"max_output_tokens": 3})
    assert created["response"]["max_output_tokens"] == 3
    assert stage.talk.asked[0][1].max_rows == 3
    done = stage.happen(sound(3), finished(3, finish="length"))[-1]["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["status"] == done["output"][0]["status"] == "incomplete"


def test_answer_that_the_engine_refuses_has_failed() -> None:
    stage = Stage()
    stage.update(truncation="disabled")
    stage.say_hello()
    stage.ask("response.create")
    assert not stage.talk.asked[0][1].drop_oldest
    [done] = stage.happen(Refused("respond", "conversation_too_long", "too many rows"))
    details = done["response"]["status_details"]
    assert done["response"]["status"] == details["type"] == "failed"
    assert details["error"]["code"] == "conversation_too_long"
    assert types(stage.ask("response.create")) == ["response.created"]


def test_answer_out_of_band_joins_nothing_and_is_not_interrupted() -> None:
    stage = Stage()
    user_id = stage.say_hello()
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "sum up"}],
    }
    [created] = stage.ask(
        "response.create",
        response={
            "conversation": "none",
            "metadata": {"topic": "sum"},
            "instructions": "be brief",
            "input": [{"type": "item_reference", "id": user_id}, item],
        },
    )
    assert created["response"]["conversation_id"] is None
    assert created["response"]["metadata"]["topic"] == "sum"
    assert stage.talk.asked[0][0] == [
        Turn("system", text=f"{SYSTEM['audio']} be brief"),
        Turn("user", text="hello"),
        Turn("user", text="sum up"),
    ]
    assert types(stage.happen(SpeechStarted(0))) == ["input_audio_buffer.speech_started"]
    events = stage.happen(sound(1), finished(1))
    assert not any(t.startswith("conversation.") for t in types(events))
    assert stage.talk.remembered is not None
    assert stage.talk.remembered[0][1:] == [Turn("user", text="hello")]


def test_turn_heard_during_an_answer_out_of_band_is_answered_after_it() -> None:
    stage = Stage()
    stage.ask("response.create", response={"conversation": "none", "input": []})
    assert "response.created" not in types(speak(stage))
    assert types(stage.happen(finished(0)))[-2:] == ["response.done", "response.created"]


def test_instructions_and_system_messages_open_the_conversation() -> None:
    stage = Stage()
    stage.update(instructions="be kind")
    content = [{"type": "input_text", "text": "speak slowly"}]
    item = {"type": "message", "role": "system", "content": content}
    stage.ask("conversation.item.create", item=item)
    stage.say_hello()
    stage.ask("response.create")
    assert stage.talk.asked[0][0] == [
        Turn("system", text=f"{SYSTEM['audio']} be kind speak slowly"),
        Turn("user", text="hello"),
    ]


def test_history_that_cannot_fit_is_not_given_to_the_model() -> None:
    stage = Stage()
    for _ in range(1000):
        stage.say_hello()
    stage.ask("response.create")
    turns = stage.talk.asked[0][0]
    max_rows = settings().session_rows
    assert max_rows // 6 <= len(turns) - 1 <= max_rows // 5 + 1
    assert turns[0].role == "system"


def test_items_are_put_where_the_client_says() -> None:
    stage = Stage()
    first = stage.say_hello()

    def create(text: str, **place: Any) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        added, done = stage.ask("conversation.item.create", item=item, **place)
        assert done["type"] == "conversation.item.done"
        return added

    assert create("root", previous_item_id="root")["previous_item_id"] is None
    assert create("after", previous_item_id=first)["previous_item_id"] == first
    stage.ask("response.create")
    assert [t.text for t in stage.talk.asked[0][0][1:]] == ["root", "hello", "after"]


def test_recording_in_an_item_is_heard_by_way_of_the_buffer() -> None:
    stage = Stage()
    item = {
        "type": "message",
        "role": "user",
        "id": "mine",
        "content": [{"type": "input_audio", "audio": SECOND}],
    }
    assert stage.ask("conversation.item.create", item=item) == []
    assert stage.talk.calls == ["hear_whole"]
    assert stage.talk.listening == (24000, None)
    assert not stage.session.calm.is_set()
    added, done = stage.happen(Heard((8, 9), 0, 1000))
    assert added["item"]["id"] == done["item"]["id"] == "mine"
    assert stage.talk.listening[1] is not None
    started = stage.happen(SpeechStarted(1500))[0]
    assert started["audio_start_ms"] == 500  # the client's own audio only


def test_refused_recording_in_an_item_is_the_events_fault() -> None:
    stage = Stage()
    content = [{"type": "input_audio", "audio": SECOND}]
    item = {"type": "message", "role": "user", "content": content}
    stage.ask("conversation.item.create", item=item, event_id="e1")
    [error] = stage.happen(Refused("commit", "no_speech", "nobody speaks"))
    assert error["error"]["event_id"] == "e1"
    assert stage.session.calm.is_set()
    assert stage.talk.listening is not None
    assert stage.talk.listening[1] is not None


def test_recording_that_was_refused_joins_nothing() -> None:
    stage = Stage()
    content = [{"type": "input_audio", "audio": SECOND}]
    stage.ask(
        "conversation.item.create", item={"type": "message", "role": "user", "content": content}
    )
    stage.happen(Refused("hear", "audio_too_long", "of an append before"))
    assert stage.happen(Heard((1, 2), 0, 1000)) == []
    stage.ask("response.create")
    assert [turn.role for turn in stage.talk.asked[0][0]] == ["system"]


def test_silence_after_an_answer_gets_another_one() -> None:
    stage = Stage()
    vad = {"type": "server_vad", "idle_timeout_ms": 5000}
    stage.update(audio={"input": {"turn_detection": vad}})
    stage.ask("input_audio_buffer.append", audio=SECOND)
    speak(stage)
    stage.happen(sound(25), finished(25))  # 2 s
    stage.now_s = 6.9
    stage.session.tick()
    assert stage.told() == []
    stage.now_s = 7.1
    stage.session.tick()
    events = stage.told()
    assert types(events) == [
        "input_audio_buffer.timeout_triggered",
        *COMMITTED,
        "response.created",
    ]
    assert events[0]["audio_end_ms"] == 1000
    stage.session.tick()
    assert stage.told() == []


def test_silence_does_not_count_while_the_user_speaks() -> None:
    stage = Stage()
    vad = {"type": "server_vad", "idle_timeout_ms": 5000, "interrupt_response": False}
    stage.update(audio={"input": {"turn_detection": vad}})
    speak(stage)
    stage.happen(sound(1), SpeechStarted(2000), finished(1))
    stage.now_s = 60
    stage.session.tick()
    assert stage.told() == []


def test_voice_stays_once_it_was_heard() -> None:
    stage = Stage()
    ann = {"audio": {"output": {"voice": "ann"}}}
    assert stage.update(**ann)[0]["session"]["audio"]["output"]["voice"] == "ann"
    speak(stage)
    stage.happen(sound(1), finished(1))
    assert stage.talk.asked[0][1].voice == "ann"
    [error] = stage.update(audio={"output": {"voice": "assistant"}})
    assert error["error"]["code"] == "cannot_update_voice"
    assert types(stage.update(**ann)) == ["session.updated"]


def test_client_secret_brings_its_settings() -> None:
    stage = Stage({"type": "realtime", "audio": {"output": {"voice": "ann"}}})
    assert stage.greeting[0]["session"]["audio"]["output"]["voice"] == "ann"


def test_answer_that_the_caller_may_not_have_ends() -> None:
    stage = Stage()
    speak(stage)
    error = ApiError(
        429, "no more", code="rate_limit_exceeded", kind="rate_limit_error", retry_after_s=7
    )
    stage.session.fail(stage.answers[0], error)
    assert stage.talk.calls[-1] == "cancel"
    [done] = stage.happen(sound(1), finished(1, finish="cancelled"))
    assert done["response"]["status_details"]["error"] == {
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "message": "no more (retry after 7 s)",
    }


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_telephone_sound_goes_both_ways(name: str) -> None:
    stage = Stage()
    wire = {"type": name}
    [updated] = stage.update(audio={"input": {"format": wire}, "output": {"format": wire}})
    assert updated["session"]["audio"]["input"]["format"] == wire
    assert stage.talk.listening is not None
    assert stage.talk.listening[0] == 8000
    stage.ask("input_audio_buffer.append", audio=base64.b64encode(bytes(800)).decode())
    assert stage.talk.heard[0].size == 800
    speak(stage)
    events = stage.happen(sound(5), sound(5), finished(10))
    data = [base64.b64decode(e["delta"]) for e in events if e["type"] == SPOKEN[-1]]
    assert len(b"".join(data)) == 10 * 640
    assert events[-1]["response"]["audio"]["output"]["format"] == wire


def test_mark_of_synthetic_speech_sounds_once_and_is_no_part_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOSS_MARK", "audible")
    settings.cache_clear()
    stage = Stage()
    stage.say_hello()
    [created] = stage.ask("response.create")
    assert "synthetic speech" in created["response"]["metadata"]["moss.synthetic"]
    events = stage.happen(sound(2), finished(2))
    settings.cache_clear()
    sizes = [len(base64.b64decode(e["delta"])) for e in events if e["type"] == SPOKEN[-1]]
    assert sum(sizes) == 48 * (240 + 160)
    item_id = events[0]["item"]["id"]
    place = {"item_id": item_id, "content_index": 0}
    [error] = stage.ask("conversation.item.truncate", **place, audio_end_ms=401)
    assert error["error"]["param"] == "audio_end_ms"
    stage.ask("conversation.item.truncate", **place, audio_end_ms=320)
    assert stage.talk.remembered is not None
    assert stage.talk.remembered[0][-1] == Turn("assistant", codes=(0,))
    stage.ask("response.create")
    again = stage.happen(sound(1), finished(1))
    assert [len(base64.b64decode(e["delta"])) for e in again if e["type"] == SPOKEN[-1]] == [3840]
