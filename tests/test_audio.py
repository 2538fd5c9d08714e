"""Audio formats, reading and writing."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from moss_speech.audio import LISTENING, SPEAKING, read_audio, resample, write_audio


def test_formats_carry_the_published_rates() -> None:
    assert (LISTENING.samples_per_code, SPEAKING.samples_per_code) == (1280, 1920)
    assert LISTENING.codes_per_s == SPEAKING.codes_per_s == 12.5


def test_written_audio_is_read_back_at_another_rate(tmp_path: Path) -> None:
    tone_S = np.sin(2 * np.pi * 440 * np.arange(24000) / 24000).astype(np.float32) * 0.5
    write_audio(tmp_path / "tone.flac", tone_S, 24000)
    back_S = read_audio(tmp_path / "tone.flac", 16000)
    spectrum = np.abs(np.fft.rfft(back_S))
    assert back_S.shape == (16000,)
    assert int(spectrum.argmax()) == 440


def test_first_channel_is_taken(tmp_path: Path) -> None:
    stereo_SC = np.stack([np.full(100, 0.25), np.full(100, -0.5)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo_SC, 16000)
    assert np.allclose(read_audio(tmp_path / "stereo.wav", 16000), 0.25, atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00"])
def test_bytes_that_are_no_audio_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not readable audio"):
        read_audio(io.BytesIO(content), 16000)


def test_empty_and_non_finite_audio_are_refused_by_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16000)
    with pytest.raises(ValueError, match=r"empty\.wav holds 0 samples"):
        read_audio(tmp_path / "empty.wav", 16000)
    soundfile.write(tmp_path / "nan.wav", np.array([np.nan], np.float32), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"nan\.wav holds NaN"):
        read_audio(tmp_path / "nan.wav", 16000)


def test_resampling_keeps_duration() -> None:
    assert resample(np.zeros(22050, np.float32), 22050, 24000).shape == (24000,)
