"""Added voices: checked, kept, used by name, made anew for another codec, removed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from moss_speech.audio import SPEAKING, Samples, resample, write_audio
from moss_speech.bundle import SpeechParts
from moss_speech.decoder.voice import Rights, load_voice
from moss_speech.inference.add_voice import Wanted, add_voice
from moss_speech.inference.voices import (
    added_voices,
    choose_voice,
    fitted,
    remove_voice,
    with_added_voices,
)
from moss_speech.speech.campplus import CamPlus
from moss_speech.speech.ge2e import ge2e
from moss_speech.storage import tree_digest
from tests.speech.onnx_graph import write_graph
from tests.speech.sounds import music
from tests.tiny_bundle import spoken

RIGHTS = Rights(licence="CC0-1.0", consent="synthetic, nobody's voice")
TEXT = "what color is the grass"


@pytest.fixture(scope="module")
def parts(bundle_folder: Path) -> SpeechParts:
    return SpeechParts.open(bundle_folder)


def recorded(folder: Path, samples: Samples, rate_hz: int) -> Path:
    write_audio(folder / "prompt.wav", samples, rate_hz)
    return folder / "prompt.wav"


def wanted(prompt: Path, name: str = "ann", text: str = "", campplus: Path | None = None) -> Wanted:
    return Wanted(name, prompt, RIGHTS, text, campplus)


def given(parts: SpeechParts, width: int) -> SpeechParts:
    """The same parts, as if the decoder were given speaker vectors of a width."""
    from copy import copy
    from dataclasses import replace

    flow, decoder = copy(parts.decoder.flow), copy(parts.decoder)
    flow.config = flow.config.model_copy(update={"speaker": "given", "speaker_width": width})
    decoder.flow = flow
    return replace(parts, decoder=decoder)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 96000])
def test_a_recording_of_any_rate_becomes_a_voice_that_speaks(parts, tmp_path, rate_hz):
    prompt = recorded(tmp_path, spoken(TEXT, rate_hz), rate_hz)
    added = add_voice(wanted(prompt, text=TEXT), parts, tmp_path / "voices")
    assert added.text_error is not None
    assert added.text_error <= 0.5
    model = with_added_voices(parts, tmp_path / "voices")
    assert list(model.voices) == ["assistant", "second", "ann"]
    voice = choose_voice(model, "ann")
    assert (voice.prompt_hz, voice.text, voice.rights) == (rate_hz, TEXT, RIGHTS)
    assert np.array_equal(voice.codes, added.voice.codes)
    assert model.decoder.decode([1, 2, 3], voice).size == 3 * 1920


def test_a_prompt_that_is_no_voice_leaves_nothing_behind(parts, tmp_path):
    store = tmp_path / "voices"
    cases = {
        r"0\.20 s, must be 1\.0": spoken(TEXT, 24000)[:4800],
        "of speech": music(4, 24000),
        "peaks at": spoken(TEXT, 24000) * np.float32(0.001),
        "of the prompt clips": np.clip(spoken(TEXT, 24000) * 40, -1, 1),
    }
    for reason, samples in cases.items():
        with pytest.raises(ValueError, match=reason):
            add_voice(wanted(recorded(tmp_path, samples, 24000)), parts, store)
    (tmp_path / "prompt.wav").write_bytes(b"no audio")
    with pytest.raises(ValueError, match="not readable audio"):
        add_voice(wanted(tmp_path / "prompt.wav"), parts, store)
    assert not store.exists()


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_U8", 1), ("PCM_16", 2), ("FLOAT", 1)])
def test_every_kind_of_wav_becomes_a_voice(parts, tmp_path, subtype, channels):
    said = np.repeat(spoken(TEXT, 44100)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "prompt.wav", said, 44100, subtype=subtype)
    voice = add_voice(wanted(tmp_path / "prompt.wav"), parts, tmp_path / "voices").voice
    assert voice.prompt.shape == (len(said),)
    plain = parts.codec.encode([resample(spoken(TEXT, 44100), 44100, 16000)])[0]
    assert np.mean(plain[: len(voice.codes)] == voice.codes) > 0.5  # 8 bits add noise


def test_samples_that_are_no_numbers_are_refused(parts, tmp_path):
    said = spoken(TEXT, 24000).copy()
    said[7000] = np.nan
    soundfile.write(tmp_path / "prompt.wav", said, 24000, subtype="FLOAT")
    with pytest.raises(ValueError, match="NaN"):
        add_voice(wanted(tmp_path / "prompt.wav"), parts, tmp_path / "voices")


def test_names_are_checked_and_taken_once(parts, tmp_path):
    prompt, store = recorded(tmp_path, spoken(TEXT, 24000), 24000), tmp_path / "voices"
    with pytest.raises(ValueError, match="voice name"):
        add_voice(wanted(prompt, name="../ann"), parts, store)
    with pytest.raises(ValueError, match="one of the model's own"):
        add_voice(wanted(prompt, name="assistant"), parts, store)
    add_voice(wanted(prompt), parts, store)
    with pytest.raises(ValueError, match="voice remove ann"):
        add_voice(wanted(prompt), parts, store)


def test_a_text_that_is_not_said_is_refused(parts, tmp_path):
    prompt = recorded(tmp_path, spoken(TEXT, 24000), 24000)
    with pytest.raises(ValueError, match=r"differ by \d\.\d+ word errors a word, at most 0\.5"):
        add_voice(wanted(prompt, text="nine yellow elephants"), parts, tmp_path / "voices")


def test_a_voice_of_another_codec_is_made_anew_from_its_prompt(parts, tmp_path):
    prompt, store = recorded(tmp_path, spoken(TEXT, 44100), 44100), tmp_path / "voices"
    first = add_voice(wanted(prompt), parts, store).voice
    before = tree_digest(store)
    config = parts.decoder.flow.config.model_copy(update={"codec_digest": "another"})

    class Other:
        def encode(self, audio):
            return [(codes + 1) % 64 for codes in parts.codec.encode(audio)]

    with pytest.raises(ValueError, match="make the voice anew"):
        load_voice(store / "ann", config)
    again = fitted(added_voices(store)["ann"], Other(), config)
    assert again.codec_digest == "another"
    assert len(again.codes) == len(first.codes)
    assert np.mean(again.codes == (first.codes + 1) % 64) > 0.9  # the prompt is kept in 16 bits
    assert tree_digest(store) == before


def test_speaker_vectors_come_from_the_given_graph_or_the_packaged_encoder(parts, tmp_path):
    prompt, store = recorded(tmp_path, spoken(TEXT, 24000), 24000), tmp_path / "voices"
    graph = tmp_path / "campplus.onnx"
    write_graph(graph, np.random.default_rng(1).normal(size=(80, 192)).astype(np.float32))
    clip = resample(spoken(TEXT, 24000), 24000, SPEAKING.sample_rate_hz)
    with pytest.raises(ValueError, match=r"has 256 numbers, this decoder reads 192: .* --campplus"):
        add_voice(wanted(prompt), given(parts, 192), store)
    with pytest.raises(ValueError, match="is not needed"):
        add_voice(wanted(prompt, campplus=graph), parts, store)
    ann = add_voice(wanted(prompt, campplus=graph), given(parts, 192), store).voice
    np.testing.assert_allclose(ann.speaker, CamPlus(graph)(clip), atol=0.05)
    bob = add_voice(wanted(prompt, name="bob"), given(parts, 256), store).voice
    np.testing.assert_allclose(bob.speaker, ge2e()(clip), atol=1e-3)
    assert {"ann", "bob"} <= with_added_voices(parts, store).voices.keys()
    assert "bob" not in with_added_voices(given(parts, 192), store).voices


def test_only_added_voices_are_removed(parts, tmp_path):
    store = tmp_path / "voices"
    with pytest.raises(ValueError, match="none was added"):
        remove_voice("assistant", store)
    add_voice(wanted(recorded(tmp_path, spoken(TEXT, 24000), 24000)), parts, store)
    with pytest.raises(ValueError, match="a model's own voices stay with it"):
        remove_voice("assistant", store)
    remove_voice("ann", store)
    assert added_voices(store) == {}


def test_an_unknown_voice_is_refused_with_the_names(parts):
    with pytest.raises(ValueError, match="'eve', must be one of assistant, second"):
        choose_voice(parts, "eve")
    assert choose_voice(parts, None).name == "assistant"
