"""Codec and decoder alone: what is measured, what the report says of it."""

import re
from pathlib import Path

import numpy as np
import pytest

from moss_speech.audio import SPEAKING, write_audio
from moss_speech.bundle import SpeechParts
from moss_speech.corpus.items import Utterance
from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.codec_scores import (
    ANSWERS,
    PEOPLE,
    Heard,
    figures,
    mel_distance,
    rates,
)
from moss_speech.evaluation.codec_trial import CodecTrial
from moss_speech.evaluation.passages import KINDS, Stopwatch, pass_through
from moss_speech.evaluation.statistics import Sampling
from moss_speech.inference.resynthesis import streamed
from moss_speech.speech.fidelity import has_pesq
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite
from tests.tiny_bundle import N_CODES, spoken, tiny_bundle

HOW = Sampling(resamples=100, confidence=0.95, seed=1)
ANSWER = "the grass is green today"


def utterance(folder: Path, name: str, text: str, role: str) -> Utterance:
    samples = Flite().say(text, "slt", Manner())
    write_audio(folder / f"{name}.flac", samples, SPEAKING.sample_rate_hz)
    return Utterance(
        id=name,
        audio=folder / f"{name}.flac",
        duration_s=samples.size / SPEAKING.sample_rate_hz,
        text=text,
        speaker="flite:slt",
        role=role,
        voice_split="test",
        text_split="test",
        tags={},
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> SpeechParts:
    return SpeechParts.open(tiny_bundle(tmp_path_factory.mktemp("model"), ("assistant", "second")))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Utterance]]:
    folder = tmp_path_factory.mktemp("audio")
    return {
        ANSWERS: [utterance(folder, "a", ANSWER, "answer")],
        PEOPLE: [utterance(folder, "p", "go forward ten meters", "human")],
    }


@pytest.fixture(scope="module")
def trial(parts, groups) -> CodecTrial:
    return CodecTrial(parts, groups, [ANSWER, "it is blue"], HOW)


def test_every_kind_of_every_utterance_is_heard_in_every_voice(trial, groups):
    rows = {(r.group, r.voice, r.kind) for r in trial.rows}
    assert rows == {(g, v, k) for g in groups for v in ("assistant", "second") for k in KINDS}
    assert trial.sounds.keys() == {r.audio for r in trial.rows}


def test_recognisers_understand_the_recording_and_not_a_random_decoder(trial):
    of = {(r.group, r.voice, r.kind): r for r in trial.rows}
    assert of[ANSWERS, "assistant", "truth"].whisper == ANSWER
    assert of[ANSWERS, "assistant", "truth"].sphinx == ANSWER
    heard = trial.figures["heard"][ANSWERS]["assistant"]
    assert heard["truth"]["word_error"]["value"] == 0
    assert heard["whole"]["word_error"]["whisper"] > 0.5
    assert heard["truth"]["quality"]["value"] > heard["whole"]["quality"]["value"]


def test_only_the_assistants_answers_in_its_own_voice_are_compared_in_step(trial):
    for row in trial.rows:
        own = (row.group, row.voice) == (ANSWERS, "assistant") and row.kind != "truth"
        assert (row.mel_distance is not None) == own
        assert (row.sphinx is not None) == (row.group == ANSWERS)
        if own:
            assert row.stoi is not None and row.stoi < 0.9
            assert (row.pesq is not None) == has_pesq()


def test_a_stream_of_single_codes_says_what_the_whole_says(parts, groups):
    passages = pass_through(parts, groups, clock := Stopwatch())
    for p in passages:
        assert p.sounds["whole"].size == p.sounds["stream"].size == 1920 * len(p.codes)
        assert np.abs(p.sounds["whole"] - p.sounds["stream"]).max() < 1e-4
    voice = parts.voices["second"]
    assert np.array_equal(streamed(parts, passages[-1].codes, voice), passages[-1].sounds["stream"])
    assert all(factor > 0 for factor in clock.real_time_factors().values())


def test_bit_rates_follow_from_codes_and_their_use(parts, groups):
    found = rates(parts, pass_through(parts, groups, Stopwatch()))
    assert found["bits_per_s"] == 12.5 * np.log2(N_CODES) == 75
    assert 0 < found["bits_per_s_used"] <= found["bits_per_s"]


def test_mel_distance_is_decibels():
    said = spoken(ANSWER, SPEAKING.sample_rate_hz)
    assert mel_distance(said, said, SPEAKING) == 0
    louder = mel_distance(said, np.float32(2) * said, SPEAKING)
    assert 4 < louder < 6.03  # silence stays at the floor
    noise = 0.1 * np.random.default_rng(0).standard_normal(SPEAKING.sample_rate_hz)
    steady = noise.astype(np.float32)
    assert mel_distance(steady, np.float32(2) * steady, SPEAKING) == pytest.approx(6.02, abs=0.01)


def test_word_error_pools_both_judges_and_names_each():
    def row(text: str, whisper: str, sphinx: str | None) -> Heard:
        return Heard(text, ANSWERS, "v", "s", text, "truth", "f", whisper, sphinx, 0.5, 3.0)

    rows = [row("it is green", "it is green", "it is blue"), row("it is red", "red", "it is red")]
    found = figures(rows, HOW)[ANSWERS]["v"]["truth"]["word_error"]
    assert found["whisper"] == pytest.approx(2 / 6, abs=1e-4)
    assert found["sphinx"] == pytest.approx(1 / 6, abs=1e-4)
    assert found["value"] == pytest.approx(1.5 / 6)
    assert found["n"] == 2


def test_table_leaves_measures_out_where_they_do_not_apply(trial):
    rows = codec_rows(trial.figures)
    assert len(rows) == 12
    assert [bool(r.heading) for r in rows[:3]] == [True, False, False]
    by_title = {(r.heading, r.title): r for r in rows}
    truth = next(r for (heading, _), r in by_title.items() if heading)
    assert truth.cells[3:] == (None, None, None)
    assert re.fullmatch(r"0\.00", truth.cells[0].value)
