import numpy as np
import pytest

from moss_speech.audio import LISTENING, SPEAKING, resample
from moss_speech.speech.recognisers import SphinxFree, SphinxGrammar, Whisper
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser

HZ = LISTENING.sample_rate_hz
TEXTS = ["the answer is seven", "that is a dog", "the opposite is winter"]


@pytest.fixture(scope="module")
def clips():
    joe = open_synthesiser("piper", 3)
    return [
        resample(joe.say(t, "joe", Manner(rate=0.85)), SPEAKING.sample_rate_hz, HZ) for t in TEXTS
    ]


@pytest.fixture(scope="module")
def tiny():
    return Whisper("whisper-tiny.en")


def test_whisper_hears_digits_as_words(tiny, clips):
    assert tiny.transcribe(clips) == TEXTS


def test_each_clip_is_heard_in_its_own_place(tiny, clips):
    order = [2, 0, 1, 2]
    assert tiny.transcribe([clips[i] for i in order]) == [TEXTS[i] for i in order]


def test_clips_above_30_s_are_heard_to_the_end(tiny, clips):
    long = np.concatenate([clips[0], np.zeros(31 * HZ, np.float32), clips[1]])
    heard = tiny.transcribe([long])[0]
    assert heard.endswith("dog")


def test_empty_clips_are_heard_without_error(tiny):
    empty = np.zeros(0, np.float32)
    assert len(tiny.transcribe([empty])) == 1
    assert SphinxGrammar(TEXTS).transcribe([empty, np.zeros(HZ, np.float32)])[0] == ""
    assert tiny.transcribe([]) == []


def test_grammar_chooses_the_right_phrase(clips):
    assert SphinxGrammar([*TEXTS, "the answer is eleven"]).transcribe(clips) == TEXTS


def test_grammar_refuses_words_it_cannot_hear():
    with pytest.raises(ValueError, match="does not know the word 'zzyzx'"):
        SphinxGrammar(["zzyzx is a dog"])


def test_hearing_does_not_depend_on_what_came_before(clips):
    sphinx = SphinxFree()
    alone = sphinx.transcribe(clips[:1])
    assert sphinx.transcribe([clips[2], clips[1], clips[0]])[2:] == alone
