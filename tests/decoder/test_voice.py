"""Voices: what is refused, what is computed, what comes back from disk."""

import numpy as np
import pytest
import torch

from moss_speech.audio import resample
from moss_speech.decoder.mel import log_mel
from moss_speech.decoder.voice import load_voice, make_voice, save_voice
from moss_speech.storage import read_json, write_json
from tests.decoder.networks import (
    RIGHTS,
    LoudnessEncoder,
    flow_network,
    speech_decoder,
    tone,
    voice,
)

CONFIG = flow_network().config


def made(prompt, name="tone"):
    return make_voice(name, prompt, LoudnessEncoder(), CONFIG, rights=RIGHTS)


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (tone(0.2), "0.20 s, must be 1.0..30.0 s"),
        (tone(31), "31.00 s"),
        (tone(2) * 0.001, "peaks at 0.0005"),
        (np.clip(tone(2) * 9, -1, 1), "of the prompt clips"),
        (np.where(np.arange(48000) == 7, np.nan, tone(2)).astype(np.float32), "NaN"),
    ],
)
def test_a_bad_prompt_is_refused_with_value_and_limit(prompt, reason):
    with pytest.raises(ValueError, match=reason):
        made(prompt)


@pytest.mark.parametrize("name", ["", "../x", "A b", "-x", "x" * 65])
def test_a_name_that_is_no_folder_name_is_refused(name):
    with pytest.raises(ValueError, match="voice name"):
        made(tone(2), name)


def test_codes_and_mel_cover_the_same_whole_codes():
    prompt = tone(1.23)
    one = made(prompt)
    assert len(one.codes) == prompt.size // 1920
    assert one.mel.shape == (4 * len(one.codes), 80)
    full = log_mel(torch.from_numpy(prompt)[None], CONFIG.format)[0].T.numpy()
    assert np.array_equal(one.mel, full[: len(one.mel)])


class Ears:
    """Remembers what it was given to encode."""

    def encode(self, audio):
        self.heard = audio[0]
        return LoudnessEncoder().encode(audio)


def test_codes_are_made_of_the_prompt_resampled_once():
    """A detour over the decoder's 24 kHz changes what the codec hears."""
    ears, prompt = Ears(), resample(tone(2), 24000, 44100)
    one = make_voice("tone", prompt, ears, CONFIG, rights=RIGHTS, prompt_hz=44100)
    direct, detour = resample(prompt, 44100, 16000), resample(tone(2), 24000, 16000)
    assert np.array_equal(ears.heard, direct)
    assert direct.shape != detour.shape or not np.array_equal(direct, detour)
    spoken = resample(prompt, 44100, 24000)
    full = log_mel(torch.from_numpy(spoken)[None], CONFIG.format)[0].T.numpy()
    assert np.array_equal(one.mel, full[: len(one.mel)])


def test_a_prompt_is_kept_at_its_own_rate_with_its_text(tmp_path):
    prompt = resample(tone(1.5), 24000, 44100)
    one = make_voice(
        "tone", prompt, LoudnessEncoder(), CONFIG, rights=RIGHTS, prompt_hz=44100, text="la la"
    )
    save_voice(one, tmp_path / "tone")
    back = load_voice(tmp_path / "tone", CONFIG)
    assert (back.prompt_hz, back.text, back.prompt.size) == (44100, "la la", prompt.size)


def test_a_saved_voice_comes_back_equal_with_its_rights(tmp_path):
    one = made(tone(1.5))
    save_voice(one, tmp_path / "tone")
    back = load_voice(tmp_path / "tone", CONFIG)
    assert back.rights == RIGHTS
    for part in ("codes", "mel", "speaker"):
        assert np.array_equal(getattr(one, part), getattr(back, part)), part
    assert np.abs(back.prompt - one.prompt).max() < 1e-4


def test_a_voice_of_another_codec_is_refused(tmp_path):
    save_voice(made(tone(1.5)), tmp_path / "tone")
    other = CONFIG.model_copy(update={"codec_digest": "other"})
    with pytest.raises(ValueError, match="make the voice anew"):
        load_voice(tmp_path / "tone", other)


@pytest.mark.parametrize("missing", ["voice.json", "voice.safetensors", "prompt.flac"])
def test_a_voice_folder_with_a_missing_part_is_refused(tmp_path, missing):
    save_voice(made(tone(1.5)), tmp_path / "tone")
    (tmp_path / "tone" / missing).unlink()
    with pytest.raises(ValueError, match="tone"):
        load_voice(tmp_path / "tone", CONFIG)


def test_a_voice_without_consent_is_refused(tmp_path):
    save_voice(made(tone(1.5)), tmp_path / "tone")
    about = read_json(tmp_path / "tone" / "voice.json")
    write_json(tmp_path / "tone" / "voice.json", about | {"consent": ""})
    with pytest.raises(ValueError, match="consent"):
        load_voice(tmp_path / "tone", CONFIG)


def test_a_given_speaker_vector_is_asked_for_and_used():
    config = flow_network(speaker="given", speaker_width=12).config
    with pytest.raises(ValueError, match=r"must be \(12,\)"):
        make_voice("tone", tone(2), LoudnessEncoder(), config, rights=RIGHTS)
    vector = np.ones(12, np.float32)
    one = make_voice("tone", tone(2), LoudnessEncoder(), config, rights=RIGHTS, speaker_K=vector)
    assert np.array_equal(one.speaker, vector)


def test_another_voice_gives_another_sound():
    decoder = speech_decoder(steps=2)
    short, long = voice(decoder, 1.1), voice(decoder, 1.9)
    assert not np.allclose(decoder.decode([1, 2, 3], short), decoder.decode([1, 2, 3], long))
