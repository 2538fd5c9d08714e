import numpy as np
import pytest

from moss_speech.audio import Samples
from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import AudioDelta, Finished, QuestionError, TextDelta, Turn
from moss_speech.lm.sampling import GREEDY
from moss_speech.lm.slots import Decoding
from tests.tiny_bundle import MAX_ROWS, N_CODES, speech_like, spoken

RATE_HZ = 16000


def question(samples: Samples | None = None, rate_hz: int = RATE_HZ) -> list[Turn]:
    audio = spoken(rate_hz=rate_hz) if samples is None else samples
    return [Turn("user", audio=audio, sample_rate_hz=rate_hz)]


def test_spoken_answer_has_exactly_the_samples_of_its_codes(engine: Engine) -> None:
    reply = engine.reply(question(), seed=1)
    assert 20 <= len(reply.codes) <= MAX_ROWS
    assert all(0 <= code < N_CODES for code in reply.codes)
    assert reply.audio.dtype == np.float32
    assert reply.audio.size == 1920 * len(reply.codes)
    assert np.isfinite(reply.audio).all()
    assert reply.text == ""


def test_stream_gives_the_first_sound_before_the_answer_is_whole(engine: Engine) -> None:
    events = list(engine.stream(question(), seed=1))
    pieces = [e.samples for e in events if isinstance(e, AudioDelta)]
    last = events[-1]
    assert isinstance(last, Finished)
    assert len(pieces) > 2
    assert np.array_equal(np.concatenate(pieces), last.reply.audio)
    assert last.reply.timings.first_s < last.reply.timings.total_s


def test_equal_seeds_give_equal_answers_and_others_differ(engine: Engine) -> None:
    first, again, other = (engine.reply(question(), seed=s) for s in (5, 5, 6))
    assert first.codes == again.codes
    assert np.array_equal(first.audio, again.audio)
    assert first.codes != other.codes


def test_compiled_engine_gives_the_answer_of_the_eager_one_again_and_again(engine: Engine) -> None:
    compiled = Engine(engine.bundle, decoding=Decoding(static=True, compiler="aot_eager"))
    eager = engine.reply(question(), sampling=GREEDY, max_rows=12, seed=1)
    for _ in range(2):
        assert compiled.reply(question(), sampling=GREEDY, max_rows=12, seed=1).codes == eager.codes


def test_answer_that_is_dropped_midway_leaves_room_for_the_next(engine: Engine) -> None:
    events = engine.stream(question(), seed=1)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert engine.reply(question(), seed=1).codes == engine.reply(question(), seed=1).codes


def test_text_answer_streams_the_same_text_as_the_whole(engine: Engine) -> None:
    events = list(engine.stream(question(), "text", seed=3))
    last = events[-1]
    assert isinstance(last, Finished)
    said = "".join(e.text for e in events if isinstance(e, TextDelta))
    assert said.rstrip("\ufffd") == last.reply.text.rstrip("\ufffd")
    assert last.reply.audio.size == 0
    assert last.reply.codes == ()


def test_batch_gives_the_answers_of_one_by_one(engine: Engine) -> None:
    asked = [question(spoken(text)) for text in ("two", "what color is the grass", "why")]
    batch = engine.reply_batch(asked, sampling=GREEDY, max_rows=12)
    alone = [engine.reply(q, sampling=GREEDY, max_rows=12, seed=0) for q in asked]
    assert [r.codes for r in batch] == [r.codes for r in alone]
    for one, other in zip(batch, alone, strict=True):
        assert np.abs(one.audio - other.audio).max() < 1e-3


def test_answer_is_cut_at_the_row_limit_and_says_so(engine: Engine) -> None:
    reply = engine.reply(question(), seed=1, max_rows=7)
    assert reply.finish == "length"
    assert len(reply.codes) == 7


def test_history_of_codes_and_text_joins_the_prompt(engine: Engine) -> None:
    first = engine.reply(question(), seed=1)
    turns = [*question(), Turn("assistant", codes=first.codes), Turn("user", text="and now")]
    second = engine.reply(turns, seed=1)
    assert second.usage.prompt_audio_rows == first.usage.prompt_audio_rows + len(first.codes) + 1


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_usage_counts_a_row_for_every_80_ms_of_the_question(engine: Engine, rate_hz: int) -> None:
    two_seconds = np.resize(spoken(rate_hz=rate_hz), 2 * rate_hz)
    reply = engine.reply(question(two_seconds, rate_hz), seed=1)
    assert reply.usage.prompt_audio_rows == 25 + 1  # the codes and the end of speech


def test_voices_differ_and_an_unknown_one_is_refused(engine: Engine) -> None:
    one, two = (engine.reply(question(), seed=1, voice=v) for v in ("assistant", "second"))
    assert one.codes == two.codes
    assert not np.array_equal(one.audio, two.audio)
    with pytest.raises(QuestionError, match="'nobody', must be one of assistant, second"):
        engine.reply(question(), voice="nobody")


def test_dropped_stream_leaves_the_engine_usable(engine: Engine) -> None:
    events = engine.stream(question(), seed=1)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert engine.reply(question(), seed=1).codes


def test_music_noise_and_hum_are_refused_for_want_of_speech(engine: Engine) -> None:
    time_S = np.arange(3 * RATE_HZ) / RATE_HZ
    chords = (220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6)
    music = np.concatenate(
        [sum(np.sin(2 * np.pi * f * time_S[:RATE_HZ]) for f in chord) / 6 for chord in chords]
    ).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.2, 2 * RATE_HZ).astype(np.float32)
    for sound in (music, noise, speech_like(2.0, RATE_HZ)):
        with pytest.raises(
            QuestionError, match=r"no speech was heard: .* must reach 0\.3"
        ) as caught:
            engine.reply(question(sound), seed=1)
        assert caught.value.code == "no_speech"
    heard = engine.reply_batch([question(music), question(noise)])
    assert all(np.isfinite(reply.audio).all() for reply in heard)


def test_typed_question_is_read_as_the_corpus_spells_it(engine: Engine) -> None:
    shouted, plain = (
        engine.reply([Turn("user", text=t)], seed=1) for t in ("What's 2?", "what's two")
    )
    assert shouted.codes == plain.codes
    with pytest.raises(QuestionError, match="a user turn holds no word"):
        engine.reply([Turn("user", text="?!")])


def test_conversation_longer_than_the_context_is_refused(engine: Engine) -> None:
    turns = [Turn("user", text="word " * 2000)]
    with pytest.raises(QuestionError, match="rows, must have fewer than 1024"):
        engine.reply(turns)
