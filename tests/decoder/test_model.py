"""Codes to speech: sample counts, streams against the whole, refusals."""

import numpy as np
import pytest

from moss_speech.audio import AudioFormat
from moss_speech.decoder.model import SpeechDecoder
from tests.decoder.networks import N_CODES, flow_network, flow_shape, speech_decoder, vocoder, voice

N_REPLY = 33
CODES = np.random.default_rng(3).integers(N_CODES, size=N_REPLY)
TOLERANCE = 2e-5
"""Of samples in -1..1; worst measured is in the assertions' comments."""


def streamed(decoder, one_voice, codes, sizes):
    stream = decoder.stream(one_voice)
    cuts = np.minimum(np.cumsum(sizes), len(codes)) if sizes else []
    pieces = [stream.push(piece) for piece in np.split(codes, cuts)]
    return np.concatenate([*pieces, stream.finish()])


@pytest.fixture(scope="module", params=[0, 2], ids=["coarse", "flow"])
def decoder(request):
    return speech_decoder(steps=request.param)


@pytest.mark.parametrize("duration_s", [1.0, 1.12, 1.2, 1.28, 1.36])
def test_streams_equal_the_whole_for_every_length_of_the_voice(decoder, duration_s):
    one_voice = voice(decoder, duration_s)
    whole = decoder.decode(CODES, one_voice)
    assert np.abs(whole - streamed(decoder, one_voice, CODES, [4] * 8)).max() < TOLERANCE


@pytest.mark.parametrize("duration_s", [1.0, 1.12, 1.2, 1.28, 1.36])
def test_first_audio_comes_with_the_codes_of_one_chunk_whatever_the_voice(decoder, duration_s):
    stream = decoder.stream(voice(decoder, duration_s))
    assert stream.push(CODES[:4]).size == 0
    assert stream.push(CODES[4:5]).size > 0


@pytest.mark.parametrize(
    ("n_voice", "used"), [(3, 3), (7, 7), (8, 8), (12, 8), (13, 13), (99, 98), (375, 98)]
)
def test_a_voice_is_used_from_its_end_so_that_no_chunk_is_its_alone(n_voice, used):
    assert flow_shape().used_codes(n_voice) == used


def test_a_network_without_chunks_speaks_only_at_the_end():
    offline = speech_decoder(chunk_codes=0)
    stream = offline.stream(voice(offline))
    assert stream.push(CODES).size == 0
    assert np.array_equal(stream.finish(), offline.decode(CODES, voice(offline)))


@pytest.mark.parametrize("codes", [[], [N_CODES], [-1], [0, 1, N_CODES + 7], [[1, 2]]])
def test_no_codes_and_codes_out_of_range_are_refused(decoder, codes):
    with pytest.raises(ValueError, match="must be"):
        decoder.decode(codes, voice(decoder))


def test_a_refused_code_leaves_the_stream_as_it_was(decoder):
    stream = decoder.stream(voice(decoder))
    first = stream.push(CODES[:20])
    with pytest.raises(ValueError, match=f"code {N_CODES}, must be"):
        stream.push([1, N_CODES])
    rest = np.concatenate([stream.push(CODES[20:]), stream.finish()])
    whole = decoder.decode(CODES, voice(decoder))
    assert np.abs(np.concatenate([first, rest]) - whole).max() < TOLERANCE


def test_a_finished_stream_takes_no_more_codes(decoder):
    stream = decoder.stream(voice(decoder))
    assert stream.finish().size == 0
    with pytest.raises(RuntimeError, match="finished"):
        stream.push([1])


def test_two_streams_at_once_do_not_touch_each_other(decoder):
    one_voice = voice(decoder)
    first, second = decoder.stream(one_voice), decoder.stream(one_voice)
    a = [first.push(CODES[:13])]
    b = [second.push(CODES[10:])]
    a += [first.push(CODES[13:]), first.finish()]
    b += [second.finish()]
    assert np.abs(np.concatenate(a) - decoder.decode(CODES, one_voice)).max() < TOLERANCE
    assert np.abs(np.concatenate(b) - decoder.decode(CODES[10:], one_voice)).max() < TOLERANCE


def test_flow_and_vocoder_of_different_rates_are_refused():
    other = AudioFormat(16000, 320, 1280, 80, 4)
    flow = flow_network()
    flow.config = flow.config.model_copy(update={"format": other})
    with pytest.raises(ValueError, match="16000"):
        SpeechDecoder(flow, vocoder())
