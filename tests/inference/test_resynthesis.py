"""A recording through codes and back: length, long recordings, files that are no recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from moss_speech.audio import read_audio, write_audio
from moss_speech.bundle import SpeechParts
from moss_speech.inference.resynthesis import resynthesise
from tests.tiny_bundle import speech_like, spoken


@pytest.fixture(scope="module")
def parts(bundle_folder: Path) -> SpeechParts:
    return SpeechParts.open(bundle_folder)


@pytest.mark.parametrize(("rate_hz", "channels", "subtype"), [
    (8000, 1, "PCM_U8"), (44100, 2, "PCM_16"), (96000, 1, "PCM_24"),
])  # fmt: skip
def test_every_kind_of_wav_keeps_its_length_in_whole_codes(
    parts, tmp_path, rate_hz, channels, subtype
):
    said = np.repeat(spoken(rate_hz=rate_hz)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "in.wav", said, rate_hz, subtype=subtype)
    made = resynthesise(
        parts, tmp_path / "in.wav", tmp_path / "out.flac", parts.voices["second"], stream=False
    )
    info = soundfile.info(tmp_path / "out.flac")
    assert (info.samplerate, info.frames) == (24000, 1920 * made.codes)
    assert 0 <= made.duration_s - len(said) / rate_hz < 0.08
    assert (made.voice, made.streamed, made.bits_per_s) == ("second", False, 75)


def test_a_stream_sounds_like_the_whole(parts, tmp_path):
    write_audio(tmp_path / "in.wav", spoken(), 16000)
    outs = [tmp_path / "whole.wav", tmp_path / "stream.wav"]
    for out, stream in zip(outs, (False, True), strict=True):
        voice = parts.voices["assistant"]
        assert resynthesise(parts, tmp_path / "in.wav", out, voice, stream).streamed == stream
    whole, stream = (read_audio(out, 24000) for out in outs)
    assert np.abs(whole - stream).max() < 1e-3


def test_a_long_recording_is_streamed(parts, tmp_path):
    write_audio(tmp_path / "in.wav", speech_like(31, 16000), 16000)
    made = resynthesise(
        parts, tmp_path / "in.wav", tmp_path / "out.wav", parts.voices["assistant"], stream=False
    )
    assert made.streamed
    assert made.codes == 388
    assert soundfile.info(tmp_path / "out.wav").frames == 1920 * made.codes


def test_bad_files_are_refused_and_leave_nothing(parts, tmp_path):
    voice = parts.voices["assistant"]
    cases = {"is not readable audio": b"no audio", "is not readable": b""}
    for reason, content in cases.items():
        (tmp_path / "in.wav").write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            resynthesise(parts, tmp_path / "in.wav", tmp_path / "out.wav", voice, False)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match="NaN"):
        resynthesise(parts, tmp_path / "nan.wav", tmp_path / "out.wav", voice, False)
    write_audio(tmp_path / "in.wav", spoken(), 16000)
    with pytest.raises(ValueError, match=r"must end in \.wav or \.flac"):
        resynthesise(parts, tmp_path / "in.wav", tmp_path / "out.mp3", voice, False)
    assert not list(tmp_path.glob("out*"))
