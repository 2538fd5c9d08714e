"""Turns that are found, turns that the client ends, sound that is no turn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import Samples, resample
from moss_speech.inference.ear import Ear
from moss_speech.inference.engine import Engine
from moss_speech.inference.questions import LIMITS
from moss_speech.inference.turns import (
    Detection,
    Heard,
    LiveEvent,
    QuestionError,
    Refused,
    SpeechStarted,
    SpeechStopped,
)
from tests.tiny_bundle import spoken

RATE_HZ = 16000
QUIET = np.random.default_rng(0).normal(0, 1e-4, 10 * RATE_HZ).astype(np.float32)


def quiet(seconds: float) -> Samples:
    return QUIET[: int(seconds * RATE_HZ)]


def all_of(ear: Ear) -> list[LiveEvent]:
    events: list[LiveEvent] = []
    while ear.busy:
        events += ear.work()
    return events


def pushed(ear: Ear, samples: Samples, sizes: list[int]) -> list[LiveEvent]:
    events: list[LiveEvent] = []
    at = k = 0
    while at < samples.size:
        size = sizes[k % len(sizes)]
        ear.hear(samples[at : at + size])
        events += all_of(ear)
        at, k = at + size, k + 1
    return events


def test_whole_turn_has_the_codes_that_the_codec_gives_it(engine: Engine) -> None:
    ear, codec = Ear(engine.bundle.codec, LIMITS), engine.bundle.codec
    for text in ("what color is the grass", "two"):
        ear.hear_whole(spoken(text))
        (heard,) = all_of(ear)
        assert isinstance(heard, Heard)
        assert list(heard.codes) == codec.encode([spoken(text)])[0].tolist()
        assert heard.duration_ms == 1000 * spoken(text).size // RATE_HZ


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=5))
def test_turns_that_are_found_do_not_depend_on_how_sound_is_cut(
    engine: Engine, sizes: list[int]
) -> None:
    sound = np.concatenate(
        (quiet(1), spoken(), quiet(1.2), spoken("what is two and three"), quiet(1.2))
    )
    whole, cut = Ear(engine.bundle.codec, LIMITS), Ear(engine.bundle.codec, LIMITS)
    for ear in (whole, cut):
        ear.listen(RATE_HZ, Detection())
    assert pushed(cut, sound, sizes) == pushed(whole, sound, [sound.size])


def test_turns_are_found_where_they_are(engine: Engine) -> None:
    ear, question = Ear(engine.bundle.codec, LIMITS), spoken()
    ear.listen(RATE_HZ, Detection(prefix_padding_ms=200, silence_duration_ms=400))
    sound = np.concatenate((quiet(1), question, quiet(1.5), question, quiet(1.5)))
    events = pushed(ear, sound, [512])
    assert [type(e) for e in events] == [SpeechStarted, SpeechStopped, Heard] * 2
    ends_ms = (1000 + 1000 * question.size / RATE_HZ, 2500 + 2000 * question.size / RATE_HZ)
    for k, said_ms in enumerate((1000, 1500 + ends_ms[0])):
        started, stopped, heard = events[3 * k : 3 * k + 3]
        assert isinstance(started, SpeechStarted) and isinstance(stopped, SpeechStopped)
        assert isinstance(heard, Heard)
        assert said_ms - 300 <= started.at_ms <= said_ms + 150
        assert ends_ms[k] + 150 <= stopped.at_ms <= ends_ms[k] + 600
        assert heard.begin_ms == started.at_ms
        assert heard.begin_ms + heard.duration_ms < stopped.at_ms
        assert len(heard.codes) == -(-heard.duration_ms // 80)


def test_silence_noise_and_a_click_begin_no_turn(engine: Engine) -> None:
    ear = Ear(engine.bundle.codec, LIMITS)
    ear.listen(RATE_HZ, Detection())
    click = quiet(2).copy()
    click[8000:8200] = 0.9
    noise = np.random.default_rng(1).normal(0, 0.05, 2 * RATE_HZ).astype(np.float32)
    assert pushed(ear, np.concatenate((quiet(2), click, noise)), [1280]) == []
    ear.commit()
    (refused,) = all_of(ear)
    assert isinstance(refused, Refused) and refused.code == "buffer_empty"


def test_talk_without_a_pause_is_ended_at_the_longest_turn(engine: Engine) -> None:
    ear = Ear(engine.bundle.codec, LIMITS)
    ear.listen(RATE_HZ, Detection())
    talk = np.resize(spoken("what color is the grass and the sky and the sea"), 40 * RATE_HZ)
    events = pushed(ear, talk, [4000])
    heard = [e for e in events if isinstance(e, Heard)]
    assert heard and heard[0].duration_ms <= 1000 * LIMITS.max_s
    assert heard[0].duration_ms > 1000 * LIMITS.max_s - 100
    assert isinstance(events[3], SpeechStarted) and events[3].at_ms < 31_000


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(0, np.float32), "buffer_empty"),
        (spoken()[:2000], "audio_too_short"),
        (quiet(2), "no_speech"),
    ],
)
def test_what_is_no_turn_is_refused_and_the_next_one_is_heard(
    engine: Engine, samples: Samples, code: str
) -> None:
    ear = Ear(engine.bundle.codec, LIMITS)
    for sound, wanted in ((samples, code), (spoken(), None)):
        ear.hear(sound)
        ear.commit()
        (event,) = all_of(ear)
        assert (event.code if isinstance(event, Refused) else None) == wanted


def test_turn_of_the_client_that_is_too_long_is_refused_and_keeps_what_it_had(
    engine: Engine,
) -> None:
    ear, second = Ear(engine.bundle.codec, LIMITS), np.resize(spoken(), RATE_HZ)
    for _ in range(30):
        ear.hear(second)
    with pytest.raises(QuestionError, match=r"would last 31.0 s, must be at most 30 s"):
        ear.hear(second)
    ear.commit()
    *_, heard = all_of(ear)
    assert isinstance(heard, Heard) and heard.duration_ms == 30_000


@pytest.mark.parametrize("rate_hz", [8000, 24000, 48000])
def test_other_rates_are_heard_as_if_resampled_whole(engine: Engine, rate_hz: int) -> None:
    sound = spoken(rate_hz=rate_hz)
    ears = Ear(engine.bundle.codec, LIMITS), Ear(engine.bundle.codec, LIMITS)
    ears[0].listen(rate_hz, None)
    for k in range(0, sound.size, 777):
        ears[0].hear(sound[k : k + 777])
    ears[1].hear(resample(sound, rate_hz, RATE_HZ))
    codes = []
    for ear in ears:
        ear.commit()
        *_, heard = all_of(ear)
        assert isinstance(heard, Heard)
        codes.append(heard.codes)
    # the last samples stay in the filter when the turn ends, at most one code of them
    n_same = len(codes[0]) - 1
    assert len(codes[1]) - 1 <= len(codes[0]) <= len(codes[1])
    assert codes[0][:n_same] == codes[1][:n_same]


def test_sound_that_was_not_heard_counts_in_the_moments_that_are_told(engine: Engine) -> None:
    ear = Ear(engine.bundle.codec, LIMITS)
    ear.hear(quiet(2))
    ear.work()  # of which some is heard
    ear.clear()
    ear.hear(spoken())
    with pytest.raises(QuestionError):
        ear.hear(np.zeros(30 * RATE_HZ, np.float32))
    ear.commit()
    *_, first = all_of(ear)
    with pytest.raises(QuestionError):
        ear.hear_whole(quiet(0.1))
    ear.hear(spoken())
    ear.commit()
    *_, second = all_of(ear)
    assert isinstance(first, Heard)
    assert isinstance(second, Heard)
    lasts_ms = 1000 * spoken().size / RATE_HZ
    assert first.begin_ms == 2000
    assert second.begin_ms == pytest.approx(2000 + lasts_ms + 30_000 + 100, abs=1)


def test_cleared_sound_is_forgotten(engine: Engine) -> None:
    ear = Ear(engine.bundle.codec, LIMITS)
    ear.hear(spoken("what is two and three"))
    ear.work()
    ear.clear()
    assert not ear.busy
    ear.hear(spoken())
    ear.commit()
    *_, heard = all_of(ear)
    assert isinstance(heard, Heard)
    assert heard.duration_ms == 1000 * spoken().size // RATE_HZ
