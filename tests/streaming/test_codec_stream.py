import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import Samples
from moss_speech.codec.features import log_mel, loudness, segments
from moss_speech.codec.model import Codec, Codes
from moss_speech.codec.stream import CodecStream
from tests.codec.small import noise, small_codec, small_encoder

SHORT = {"max_source_positions": 100}
"""Segments of 2 s."""
PUBLISHED = {
    "d_model": 80,
    "encoder_attention_heads": 5,
    "encoder_ffn_dim": 320,
    "num_mel_bins": 128,
    "quantize_position": 4,
    "quantize_vocab_size": 512,
    **SHORT,
}
"""The released proportions; strictly causal."""
DEMO = PUBLISHED | {"num_mel_bins": 80, "lookahead_frames": 4}
CODECS = {
    "published": small_codec(**PUBLISHED),
    "demo": small_codec(**DEMO),
    "odd look-ahead": small_codec(**SHORT, lookahead_frames=3, quantize_position=3),
}
NEAR_TIE = 1e-5
COUNTED = {"frames": 0, "near ties": 0}


def speechlike(n_samples: int, seed: int) -> Samples:
    """Noise with pauses of digital silence and a loudness that swings."""
    time_s = np.arange(n_samples) / 16000
    level = np.maximum(np.sin((3 + seed % 5) * time_s), 0.0) ** 2 * (1 + seed % 3)
    return (level * noise(n_samples, seed)).astype(np.float32)


def pieces(samples_S: Samples, cuts: Sequence[int]) -> list[Samples]:
    """The audio cut at places that may coincide, so pieces may be empty."""
    places = sorted(cut % (samples_S.size + 1) for cut in cuts)
    return np.split(samples_S, places)


def streamed(codec: Codec, parts: Sequence[Samples], loudest: Sequence[float]) -> Codes:
    stream = CodecStream(codec, loudest)
    return np.concatenate([*(stream.push(part) for part in parts), stream.finish()])


@torch.inference_mode()
def margins(codec: Codec, samples_S: Samples) -> np.ndarray:
    """How much farther the second nearest entry is than the nearest, as a part of its distance."""
    found = []
    for part in segments(samples_S, codec.config):
        mel_MF = log_mel(part, codec.config.audio_format)
        codes_B = torch.tensor([mel_MF.shape[-1] // codec.config.audio_format.frames_per_code])
        x_ND = codec.encoder(mel_MF[None], codes_B)[0].double()
        near_N2 = torch.cdist(x_ND, codec.encoder.codebook.weight.double()).topk(2, largest=False)
        found.append(near_N2.values[:, 1] / near_N2.values[:, 0] - 1)
    return torch.cat(found).numpy()


def assert_equal_but_for_near_ties(codec: Codec, samples_S: Samples, codes_N: Codes) -> None:
    whole_N = codec.encode([samples_S])[0]
    assert codes_N.shape == whole_N.shape
    different = codes_N != whole_N
    assert (margins(codec, samples_S)[different] < NEAR_TIE).all()
    COUNTED["frames"] += len(whole_N)
    COUNTED["near ties"] += int(different.sum())


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=60)
@given(
    n_samples=st.integers(1, 80_000),
    cuts=st.lists(st.integers(0, 80_000), max_size=40),
    window_frames=st.sampled_from([None, 1, 9, 40]),
    seed=st.integers(0, 99),
)
def test_streamed_codes_are_the_whole_files_for_any_cutting(
    name, n_samples, cuts, window_frames, seed
):
    codec = CODECS[name].within(window_frames)
    samples_S = speechlike(n_samples, seed)
    codes_N = streamed(codec, pieces(samples_S, cuts), loudness(samples_S, codec.config))
    assert_equal_but_for_near_ties(codec, samples_S, codes_N)


@pytest.mark.slow
def test_at_most_one_frame_in_ten_thousand_is_a_near_tie():
    """80 ms at a time over more than 10,000 frames; also counts what the property test saw."""
    codec = CODECS["demo"]
    for seed in range(12):
        samples_S = speechlike(900 * 1280 + 17 * seed, seed)
        parts = np.split(samples_S, range(1280, samples_S.size, 1280))
        codes_N = streamed(codec, parts, loudness(samples_S, codec.config))
        assert_equal_but_for_near_ties(codec, samples_S, codes_N)
    print(f"{COUNTED['near ties']} near ties in {COUNTED['frames']} frames")
    assert COUNTED["frames"] > 10_000
    assert COUNTED["near ties"] * 10_000 <= COUNTED["frames"]


def test_full_segments_of_thirty_seconds_start_anew():
    codec = small_codec(lookahead_frames=1)
    samples_S = speechlike(600_000, seed=3)
    parts = np.split(samples_S, range(9_999, samples_S.size, 9_999))
    codes_N = streamed(codec, parts, loudness(samples_S, codec.config))
    assert_equal_but_for_near_ties(codec, samples_S, codes_N)


@pytest.mark.parametrize("name", CODECS)
def test_code_comes_after_the_stated_lag_and_not_a_sample_earlier(name):
    codec = CODECS[name]
    stream = CodecStream(codec)
    lag_samples = codec.config.stream_lag_samples
    samples_S = noise(13 * 1280)
    heard = 0
    for code in range(4):
        known_after = (code + 1) * 1280 + lag_samples
        assert stream.push(samples_S[heard : known_after - 1]).size == 0
        assert stream.push(samples_S[known_after - 1 : known_after]).size == 1
        heard = known_after


def test_lag_is_the_windows_reach_and_whole_codes_of_lookahead():
    lags = {name: codec.config.stream_lag_samples for name, codec in CODECS.items()}
    assert lags == {"published": -120, "demo": 3 * 1280 + 1160, "odd look-ahead": 2 * 1280 + 1160}


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 50_000), max_size=30), seed=st.integers(0, 99))
def test_running_maximum_does_not_depend_on_the_cutting(cuts, seed):
    codec = CODECS["demo"]
    samples_S = speechlike(50_000, seed)
    together = streamed(codec, [samples_S], (-3.0,))
    assert np.array_equal(streamed(codec, pieces(samples_S, cuts), (-3.0,)), together)


def test_segments_past_the_given_loudness_start_at_the_last():
    codec, samples_S = CODECS["demo"], speechlike(80_000, seed=4)  # three segments
    repeated = streamed(codec, [samples_S], (0.5, 0.5, 0.5))
    assert np.array_equal(streamed(codec, [samples_S], (0.5,)), repeated)
    with pytest.raises(ValueError, match="loudness has 0 values"):
        CodecStream(codec, ())


def test_running_maximum_that_starts_too_high_changes_codes():
    """The reference decides something: else the tests above would prove nothing of it."""
    codec, samples_S = CODECS["demo"], speechlike(30_000, seed=1)
    assert (streamed(codec, [samples_S], (9.0,)) != codec.encode([samples_S])[0]).any()


@pytest.mark.parametrize(
    "bad",
    [
        np.array([0.1, np.nan], np.float32),
        np.array([np.inf], np.float32),
        np.zeros((2, 3), np.float32),
        np.zeros(5, np.int16),
    ],
)
def test_refused_audio_leaves_the_stream_as_it_was(bad):
    codec, samples_S = CODECS["published"], noise(20_000)
    stream = CodecStream(codec, (0.0,))
    before = stream.push(samples_S[:7_000])
    with pytest.raises(ValueError, match="audio"):
        stream.push(bad)
    after = [stream.push(samples_S[7_000:]), stream.finish()]
    assert np.array_equal(np.concatenate([before, *after]), streamed(codec, [samples_S], (0.0,)))


def test_streams_of_one_codec_do_not_touch_each_other():
    codec = CODECS["demo"]
    audio = [speechlike(40_000, seed) for seed in (1, 2)]
    streams = [CodecStream(codec) for _ in audio]
    codes: list[list[Codes]] = [[], []]
    for start in range(0, 40_000, 3_000):
        for stream, samples_S, found in zip(streams, audio, codes, strict=True):
            found.append(stream.push(samples_S[start : start + 3_000]))
    for stream, samples_S, found in zip(streams, audio, codes, strict=True):
        alone = streamed(codec, [samples_S], (1.0,))
        assert np.array_equal(np.concatenate([*found, stream.finish()]), alone)


def test_silence_and_clipping_have_codes_and_nothing_has_none():
    codec = CODECS["published"]
    for samples_S in (np.zeros(30_000, np.float32), np.sign(noise(30_000))):
        loudest = loudness(samples_S, codec.config)
        codes_N = streamed(codec, [samples_S], loudest)
        assert np.array_equal(codes_N, codec.encode([samples_S])[0])
    assert streamed(codec, [], (1.0,)).shape == (0,)


def test_finished_stream_takes_no_more():
    stream = CodecStream(CODECS["published"])
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.push(noise(10))
    with pytest.raises(ValueError, match="finished"):
        stream.finish()


@pytest.mark.parametrize("flag", ["encoder_causal_attention", "encoder_causal_convolution"])
def test_codec_that_hears_the_whole_is_refused(flag):
    codec = Codec(small_encoder(**{flag: False}), None, digest="0" * 64)
    with pytest.raises(ValueError, match=f"{flag} is false, must be true"):
        CodecStream(codec)


def test_window_must_hold_a_frame():
    with pytest.raises(ValueError, match="window_frames is 0, must be null or at least 1"):
        dataclasses.replace(CODECS["demo"].config, window_frames=0)
