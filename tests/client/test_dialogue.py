"""What a listener hears, whatever comes when; what a client takes from a service's events."""

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.client.dialogue import RESERVE_S, Dialogue, Playback
from moss_speech.client.line import ServiceError, realtime_address
from moss_speech.client.tally import Tally

PIECES = st.lists(
    st.tuples(st.floats(0, 2), st.floats(0.01, 1)), min_size=1, max_size=20
)  # seconds since the piece before, and its length
SECOND = base64.b64encode(bytes(48000)).decode()


@given(PIECES)
def test_listener_hears_everything_once_and_gaps_are_what_was_late(
    pieces: list[tuple[float, float]],
) -> None:
    playback, now_s = Playback(), 100.0
    for wait_s, length_s in pieces:
        now_s += wait_s
        playback.take(length_s, now_s)
    playback.end(now_s)
    whole_s = sum(length_s for _, length_s in pieces)
    assert playback.begins_s is not None
    heard_s = playback.ends_s - playback.begins_s - playback.late_s
    assert heard_s == pytest.approx(whole_s)
    assert (playback.n_late == 0) == (playback.late_s == 0)


def test_short_first_piece_is_not_late_but_a_later_one_is() -> None:
    playback = Playback()
    playback.take(RESERVE_S / 2, 10.0)
    assert playback.begins_s is None
    playback.take(0.4, 10.5)
    assert (playback.begins_s, playback.n_late) == (10.5, 0)
    playback.take(0.4, playback.ends_s + 0.25)
    assert playback.n_late == 1
    assert playback.late_s == pytest.approx(0.25)


def said(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def interrupted_dialogue(onset_s: float) -> Dialogue:
    """An answer of 1 s that comes at 2.0; somebody speaks from `onset_s`, which is told at 2.6."""
    feed: Any = SimpleNamespace(loud_s=1.4, last_s=1.9, onset_s=0.0, n_sent=24000)
    dialogue = Dialogue(feed)
    started = said("input_audio_buffer.speech_started", audio_start_ms=100)
    response = {"id": "resp_1", "status": "in_progress"}
    for at_s, event in (
        (0.5, started),
        (1.9, said("input_audio_buffer.speech_stopped", audio_end_ms=1900)),
        (1.9, said("input_audio_buffer.committed", item_id="item_1")),
        (1.9, said("response.created", response=response)),
        (2.0, said("response.output_audio.delta", delta=SECOND, item_id="item_2")),
    ):
        dialogue.take(event, at_s)
    feed.onset_s = onset_s
    dialogue.take(started, 2.6)
    dialogue.take(said("response.done", response=response | {"status": "cancelled"}), 2.7)
    return dialogue


def test_turn_has_the_moments_of_its_events() -> None:
    [turn] = interrupted_dialogue(2.5).turns
    about = turn.to_json()
    assert about["from_speech_end_s"] == 0.6
    assert about["from_turn_end_s"] == 0.1
    assert (about["question_s"], about["audio_s"]) == (1.8, 1.0)
    assert (about["question_item_id"], about["answer_item_id"]) == ("item_1", "item_2")
    assert turn.silence_s == pytest.approx(0.1)


def test_speech_after_the_end_of_what_was_played_interrupts_nothing() -> None:
    [turn] = interrupted_dialogue(3.5).turns
    assert turn.silence_s is None


def test_tally_holds_real_time_only_if_everything_was_heard_in_time() -> None:
    def tally() -> Tally:
        one = Tally()
        one.turn(interrupted_dialogue(2.5).turns[0])
        return one

    assert tally().holds_real_time
    refused, late, slow, broken = (tally() for _ in range(4))
    refused.error(ServiceError("full", "overloaded", 2.0))
    late.underruns = 1
    slow.to_playing_s.append(100.0)
    broken.timed_out()
    assert not any(one.holds_real_time for one in (refused, late, slow, broken, Tally()))
    assert refused.to_json()["refused"] == 1


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:3000", "ws://127.0.0.1:3000/v1/realtime"),
        ("https://talk.example/", "wss://talk.example/v1/realtime"),
        ("https://talk.example/below/v1", "wss://talk.example/below/v1/realtime"),
        ("wss://talk.example/v1/realtime?model=a", "wss://talk.example/v1/realtime?model=a"),
    ],
)
def test_any_address_of_a_service_names_its_conversations(url: str, address: str) -> None:
    assert realtime_address(url) == address


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://a", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be http"):
        realtime_address(url)
