"""The unchanged OpenAI client talks with a real server and a model with random weights."""

import asyncio
import base64
import re
from typing import Any

import httpx
import numpy as np
import pytest

from services.realtime.audio import FORMATS, FormatName
from tests.services.conftest import Server
from tests.services.realtime.line import LONG, MANUAL, Line, in_loop, message, on_the_line, question

pytestmark = pytest.mark.timeout(400)
PER_CODE = 3840
"""Bytes of PCM of one code."""


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    return server.url


def is_spoken(response: dict[str, Any], line: Line) -> bytes:
    """The sound of an answer; it is as long as the codes that were counted."""
    [item] = response["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": ""}]
    sound = line.sound(item["id"])
    assert 0 < len(sound) <= PER_CODE * response["usage"]["output_token_details"]["audio_tokens"]
    assert len(sound) % PER_CODE == 0 or response["status"] == "cancelled"
    assert np.abs(np.frombuffer(sound, "<i2")).max() > 0
    return sound


@in_loop
async def test_question_that_voice_activity_finds_is_answered_aloud(url: str) -> None:
    async with on_the_line(url) as line:
        await line.append(question(silence_s=1.0))
        response = await line.done()
        is_spoken(response, line)
        types = line.types()
        expected = [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
        ]
        seen = [t for t in types if t != "rate_limits.updated"]
        begin = seen.index(expected[0])
        assert seen[begin : begin + len(expected)] == expected
        assert "rate_limits.updated" in types
        [started] = [e for e in line.events if e["type"] == expected[0]]
        [stopped] = [e for e in line.events if e["type"] == expected[1]]
        assert 0 <= started["audio_start_ms"] <= 500
        assert 1000 < stopped["audio_end_ms"] < 4000
        assert response["usage"]["input_token_details"]["audio_tokens"] > 10
        assert len({e["event_id"] for e in line.events}) == len(line.events)


@in_loop
async def test_manual_turns_are_answered_and_remembered(url: str) -> None:
    async with on_the_line(url, **MANUAL) as line:
        first_id = await line.say()
        first = await line.answer()
        is_spoken(first, line)
        second_id = await line.say()
        committed = [e for e in line.events if e["type"] == "input_audio_buffer.committed"]
        assert committed[0]["previous_item_id"] is None
        assert committed[1]["previous_item_id"] == first["output"][0]["id"]
        assert first_id != second_id
        second = await line.answer()
        asked = [r["usage"]["input_token_details"]["audio_tokens"] for r in (first, second)]
        n_said = len(line.sound(first["output"][0]["id"])) // PER_CODE
        assert asked[1] >= 2 * asked[0] + n_said  # both questions and the first answer
        assert second["metadata"].keys() >= {"moss.version", "moss.digest", "moss.lineage"}
        assert re.fullmatch("[0-9a-f]{64}", second["metadata"]["moss.digest"])


@pytest.mark.parametrize("output", ["text", "audio"])
@in_loop
async def test_typed_question_is_answered_in_text_or_speech(url: str, output: str) -> None:
    async with on_the_line(url) as line:
        await line.send("conversation.item.create", item=message())
        await line.until("conversation.item.done")
        response = await line.answer(output_modalities=[output])
        if output == "audio":
            is_spoken(response, line)
            return
        deltas = [e["delta"] for e in line.events if e["type"] == "response.output_text.delta"]
        text = response["output"][0]["content"][0]["text"]
        assert "".join(deltas) == text
        assert "response.output_audio.delta" not in line.types()


@in_loop
async def test_spoken_question_is_answered_in_text(url: str) -> None:
    async with on_the_line(url, output_modalities=["text"]) as line:
        await line.append(question(silence_s=1.0))
        response = await line.done()
        assert response["output_modalities"] == ["text"]
        assert response["output"][0]["content"][0]["type"] == "output_text"


@in_loop
async def test_interrupted_answer_falls_silent_and_is_cut_to_what_was_heard(url: str) -> None:
    async with on_the_line(url, max_output_tokens=LONG) as line:
        await line.append(question(silence_s=1.0))
        await line.until("response.output_audio.delta")
        await line.append(question())
        started = await line.until("input_audio_buffer.speech_started")
        response = await line.done()
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        after = line.events[line.events.index(started) :]
        assert "response.output_audio.delta" not in [e["type"] for e in after]
        sound = is_spoken(response, line)
        [item] = response["output"]
        assert item["status"] == "incomplete"
        await line.send(
            "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=240
        )
        await line.until("conversation.item.truncated")
        await line.send("conversation.item.retrieve", item_id=item["id"])
        found = (await line.until("conversation.item.retrieved"))["item"]
        assert base64.b64decode(found["content"][0]["audio"]) == sound[: 3 * PER_CODE]
        await line.append(bytes(48000))  # a second of silence ends the interruption
        second = await line.done()
        rows = second["usage"]["input_token_details"]["audio_tokens"]
        heard = [e["item"] for e in line.events if e["type"] == "conversation.item.done"]
        assert [i["role"] for i in heard[:3]] == ["user", "assistant", "user"]
        first_rows = response["usage"]["input_token_details"]["audio_tokens"]
        assert first_rows + 3 < rows < 3 * first_rows + 3  # of the answer, only three codes


@in_loop
async def test_cancelled_answer_ends_and_the_next_one_begins(url: str) -> None:
    async with on_the_line(url, **MANUAL, max_output_tokens=LONG) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        await line.send("response.cancel")
        await line.send("response.create", response={"max_output_tokens": 5})
        cancelled = await line.done()
        assert cancelled["status_details"]["reason"] == "client_cancelled"
        limited = await line.done()
        assert limited["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert limited["usage"]["output_tokens"] == 5


@in_loop
async def test_items_are_retrieved_deleted_and_truncated(url: str) -> None:
    async with on_the_line(url, **MANUAL) as line:
        data = question()
        item_id = await line.say(data)
        response = await line.answer()
        await line.send("conversation.item.retrieve", item_id=item_id)
        found = (await line.until("conversation.item.retrieved"))["item"]
        kept = base64.b64decode(found["content"][0]["audio"])
        assert data.startswith(kept)
        assert len(kept) > 0.95 * len(data)
        answer_id = response["output"][0]["id"]
        held_ms = len(line.sound(answer_id)) // 48
        await line.send(
            "conversation.item.truncate",
            item_id=answer_id, content_index=0, audio_end_ms=held_ms + 80, event_id="beyond",
        )  # fmt: skip
        error = await line.error()
        assert (error["param"], error["event_id"]) == ("audio_end_ms", "beyond")
        for gone in (item_id, answer_id):
            await line.send("conversation.item.delete", item_id=gone)
            assert (await line.until("conversation.item.deleted"))["item_id"] == gone
        await line.send("conversation.item.retrieve", item_id=item_id)
        assert (await line.error())["code"] == "item_retrieve_invalid_item_id"
        await line.send("conversation.item.create", item=message())
        assert (await line.until("conversation.item.added"))["previous_item_id"] is None
        response = await line.answer()
        assert response["usage"]["input_token_details"]["audio_tokens"] == 0


@in_loop
async def test_recording_in_an_item_is_heard(url: str) -> None:
    async with on_the_line(url) as line:
        content = [{"type": "input_audio", "audio": base64.b64encode(question()).decode()}]
        item = {"type": "message", "role": "user", "content": content}
        await line.send("conversation.item.create", item=item)
        await line.until("conversation.item.done")
        response = await line.answer()
        assert response["usage"]["input_token_details"]["audio_tokens"] > 10
        await line.append(question(silence_s=1.0))  # voice activity goes on
        started = await line.until("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] <= 500
        assert (await line.done())["status"] in ("completed", "incomplete")


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
@in_loop
async def test_telephone_talks(url: str, name: FormatName) -> None:
    wire = FORMATS[name]
    sound = {"format": {"type": name}}
    async with on_the_line(url, audio={"input": sound, "output": sound}) as line:
        samples = FORMATS["audio/pcm"].read(question(silence_s=1.0))
        await line.append(wire.write(samples[::3]), piece=1600)
        response = await line.done()
        n_codes = response["usage"]["output_token_details"]["audio_tokens"]
        said = line.sound(response["output"][0]["id"])
        assert 0 < len(said) <= 640 * n_codes
        assert np.abs(wire.read(said)).max() > 0


@in_loop
async def test_answer_out_of_band_leaves_the_conversation_alone(url: str) -> None:
    async with on_the_line(url) as line:
        await line.send("conversation.item.create", item=message())
        await line.until("conversation.item.done")
        response = await line.answer(
            conversation="none", input=[message("hello")], output_modalities=["text"],
            metadata={"topic": "greeting"},
        )  # fmt: skip
        assert response["conversation_id"] is None
        assert response["metadata"]["topic"] == "greeting"
        added = [e for e in line.events if e["type"] == "conversation.item.added"]
        assert len(added) == 1


@in_loop
async def test_long_conversation_goes_on_without_its_oldest_turns(url: str) -> None:
    words = "what colour is the grass " * 40
    async with on_the_line(url, output_modalities=["text"]) as line:
        for i in range(6):
            await line.send("conversation.item.create", item=message(words, id=f"item_{i}"))
            await line.until("conversation.item.done")
        response = await line.answer()
        assert response["status"] in ("completed", "incomplete")
        assert 0 < response["usage"]["input_tokens"] < 1024
        await line.update(truncation="disabled")
        failed = await line.answer()
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["code"] == "conversation_too_long"


def sessions(url: str) -> float:
    """Live sessions of the server."""
    text = httpx.get(f"{url}/metrics").text
    return sum(float(v) for v in re.findall(r"^moss_sessions(?:\{.*\})? (\S+)$", text, re.M))


@in_loop
async def test_client_that_leaves_mid_answer_leaves_nothing_behind(url: str) -> None:
    before = sessions(url)
    for _ in range(5):
        async with on_the_line(url, **MANUAL, max_output_tokens=LONG) as line:
            await line.say()
            await line.send("response.create")
            await line.until("response.output_audio.delta")
            assert sessions(url) == before + 1
            line.connection._connection.transport.abort()
    for _ in range(100):
        if (now := sessions(url)) == before:
            break
        await asyncio.sleep(0.1)
    assert now == before
    async with on_the_line(url, **MANUAL) as line:
        await line.say()
        is_spoken(await line.answer(), line)
