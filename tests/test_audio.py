"""Audio formats, reading and writing."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech import audio
from moss_speech.audio import (
    LISTENING,
    SPEAKING,
    Samples,
    Span,
    read_audio,
    read_blocks,
    resample,
    write_audio,
)


def glide(n_samples: int) -> Samples:
    time = np.arange(n_samples) / max(n_samples, 1)
    return (0.4 * np.sin(90 * time + 700 * time**2)).astype(np.float32)


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


def test_a_span_of_a_channel_is_read_as_a_file_of_its_own(tmp_path: Path) -> None:
    both_SC = np.stack([glide(48_000), -0.5 * glide(48_000)], axis=1)
    soundfile.write(tmp_path / "two.flac", both_SC, 16000)
    part_S = read_audio(tmp_path / "two.flac", 24000, Span(0.5, 1.25), channel=1)
    soundfile.write(tmp_path / "cut.flac", both_SC[8000:28_000, 1], 16000)
    assert np.array_equal(part_S, read_audio(tmp_path / "cut.flac", 24000))


@pytest.mark.parametrize("span", [(-0.1, 1.0), (2.5, 1.0), (0.0, 0.0), (0.0, 3.1), (3.0, 0.1)])
def test_a_span_outside_the_recording_is_refused(tmp_path: Path, span: tuple[float, float]) -> None:
    write_audio(tmp_path / "short.flac", glide(48_000), 16000)
    with pytest.raises(ValueError, match=r"short\.flac lasts 3\.000 s, asked for"):
        read_audio(tmp_path / "short.flac", 16000, Span(*span))
    with pytest.raises(ValueError, match="has 1 channels, asked for 1"):
        read_audio(tmp_path / "short.flac", 16000, channel=1)


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


@pytest.mark.parametrize(
    ("name", "subtype", "atol"),
    [
        ("a.wav", "PCM_U8", 1e-2),
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 0.0),
        ("a.wav", "DOUBLE", 1e-7),
        ("a.wav", "ULAW", 2e-2),
        ("a.flac", "PCM_S8", 1e-2),
        ("a.ogg", "VORBIS", 0.1),
        ("a.mp3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_every_kind_of_sample_is_read(tmp_path: Path, name: str, subtype: str, atol: float) -> None:
    soundfile.write(tmp_path / name, glide(32_000), 16000, subtype=subtype)
    read_S = read_audio(tmp_path / name, 16000)
    assert read_S.shape == (32_000,)
    assert np.abs(read_S - glide(32_000))[2000:-2000].max() <= atol


def test_96_khz_stereo_is_resampled_from_its_first_channel(tmp_path: Path) -> None:
    stereo_SC = np.stack([glide(96_000), -glide(96_000)], axis=1)
    soundfile.write(tmp_path / "studio.wav", stereo_SC, 96_000, subtype="FLOAT")
    assert np.array_equal(
        read_audio(tmp_path / "studio.wav", 16000), resample(glide(96_000), 96_000, 16000)
    )


def test_what_is_left_of_a_cut_wav_is_read_and_others_are_refused(tmp_path: Path) -> None:
    for name in ("cut.wav", "cut.flac", "cut.mp3"):
        soundfile.write(tmp_path / name, glide(200_000), 16000)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    left_S = read_audio(tmp_path / "cut.wav", 16000)
    assert np.allclose(left_S, glide(200_000)[: left_S.size], atol=1e-4)
    assert 99_000 < left_S.size < 100_001
    with pytest.raises(ValueError, match=r"cut\.flac"):
        read_audio(tmp_path / "cut.flac", 16000)
    with pytest.raises(ValueError, match=r"cut\.mp3 is cut off: it holds \d+ of 200000 samples"):
        read_audio(tmp_path / "cut.mp3", 16000)


@pytest.mark.parametrize("rate_hz", [44_101, 1000, 384_000])
def test_rate_that_would_need_a_giant_filter_is_refused(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "odd.wav", glide(2000), rate_hz)
    with pytest.raises(ValueError, match=rf"odd\.wav has {rate_hz} samples a second, must have"):
        read_audio(tmp_path / "odd.wav", 16000)


def test_sample_far_beyond_full_scale_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.array([1e30], np.float32), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"loud\.wav holds a sample of 1e\+30, must be at most"):
        read_audio(tmp_path / "loud.wav", 16000)


def test_file_too_long_to_hold_is_refused_before_it_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(4000 * 3601, np.int16), 4000)
    with pytest.raises(ValueError, match=r"long\.flac lasts 3601 s, must be at most 3600 s"):
        read_audio(tmp_path / "long.flac", 16000)
    n_read = sum(block.size for block in read_blocks(tmp_path / "long.flac", 16000, 480_000))
    assert n_read == 16000 * 3601


@settings(max_examples=60)
@given(
    n_samples=st.integers(1, 5000),
    rates=st.sampled_from(
        [(16000, 16000), (44100, 16000), (8000, 24000), (48000, 16000), (11025, 16000)]
    ),
    piece=st.integers(1, 3000),
    block=st.integers(1, 2500),
)
def test_blocks_are_the_resampled_file_whatever_the_pieces(
    n_samples: int, rates: tuple[int, int], piece: int, block: int
) -> None:
    from_hz, to_hz = rates
    file = io.BytesIO()
    soundfile.write(file, glide(n_samples), from_hz, format="WAV", subtype="FLOAT")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "_PIECE_VALUES", piece)
        file.seek(0)
        blocks = list(read_blocks(file, to_hz, block))
    assert [b.size for b in blocks[:-1]] == [block] * (len(blocks) - 1)
    whole_S = resample(glide(n_samples), from_hz, to_hz)
    assert np.concatenate(blocks).shape == whole_S.shape
    assert np.abs(np.concatenate(blocks) - whole_S).max() <= 1e-6
