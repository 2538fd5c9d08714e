import numpy as np
import pytest

from moss_speech.audio import SPEAKING
from moss_speech.evaluation.judges import Judges, describe
from moss_speech.evaluation.scores import answer_words, contains
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite

ANSWERS = ["it is green", "it is blue", "that is a dog", "the number is four", "the answer is four"]
RATE_HZ = SPEAKING.sample_rate_hz


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges(ANSWERS)


def test_both_judges_hear_what_a_clear_voice_says(judges):
    clips = [Flite().say(answer, "slt", Manner()) for answer in ANSWERS]
    heard = judges.hear(clips, RATE_HZ)
    own = answer_words(ANSWERS)
    assert [h.sphinx for h in heard] == ANSWERS
    assert sum(contains(h.whisper, own[a]) for h, a in zip(heard, ANSWERS, strict=True)) >= 4


def test_whisper_does_not_hear_an_answer_that_was_not_said(judges):
    said = Flite().say("the window is open", "slt", Manner())
    heard = judges.hear([said], RATE_HZ)[0]
    assert not any(contains(heard.whisper, words) for words in answer_words(ANSWERS).values())


def test_equal_sounds_are_heard_equally(judges):
    said = Flite().say("it is green", "rms", Manner())
    assert judges.hear([said, said], RATE_HZ) == judges.hear([said, said], RATE_HZ)


def test_noise_and_an_empty_clip_are_no_answer_to_either_judge(judges):
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)
    for heard in judges.hear([np.zeros(0, np.float32), noise.astype(np.float32)], RATE_HZ):
        assert not any(contains(heard.whisper, words) for words in answer_words(ANSWERS).values())
        assert heard.sphinx not in ANSWERS


def test_no_clips_are_heard_as_nothing(judges):
    assert judges.hear([], RATE_HZ) == []


def test_a_word_outside_the_dictionary_is_refused_by_name():
    with pytest.raises(ValueError, match="zzyzxq"):
        Judges(["it is zzyzxq"])


def test_report_names_recognisers_and_versions():
    assert "faster-whisper" in describe()["whisper"]
    assert "pocketsphinx" in describe()["sphinx"]
