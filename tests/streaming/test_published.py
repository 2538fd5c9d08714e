"""The released streaming protocol: hops, sample counts, cross-fades, the last call."""

import numpy as np
import pytest
import torch

from moss_speech.decoder.flow.view import View
from moss_speech.decoder.model import SpeechDecoder
from tests.decoder.networks import N_CODES, flow_network, hift, speech_decoder, voice

CODES = np.random.default_rng(3).integers(N_CODES, size=34).tolist()
HELD = 3840


@pytest.fixture(scope="module")
def decoder():
    return SpeechDecoder(flow_network(), hift())


def one_by_one(stream, codes):
    sizes, pieces = [], []
    for code in codes:
        pieces.append(stream.push([code]))
        sizes.append(pieces[-1].size)
    pieces.append(stream.finish())
    return sizes, np.concatenate(pieces)


@pytest.mark.parametrize("duration_s", [1.0, 1.2, 1.28, 1.36])
@pytest.mark.parametrize("n", [1, 7, 8, 20, 34])
def test_every_code_has_its_samples_and_equal_seeds_equal_speech(decoder, duration_s, n):
    one_voice = voice(decoder, duration_s)
    _, made = one_by_one(decoder.published_stream(one_voice, 0), CODES[:n])
    at_once = decoder.published_stream(one_voice, 0)
    again = np.concatenate([at_once.push(CODES[:n]), at_once.finish()])
    assert len(made) == 1920 * n
    assert np.array_equal(made, again)


def test_hops_are_those_of_the_format(decoder):
    """Voice of 16 codes: the first hop is 5 + 4 codes, less what is held back; then 5 each."""
    one_voice = voice(decoder, 1.28)
    assert len(one_voice.codes) == 16
    sizes, _ = one_by_one(decoder.published_stream(one_voice, 0), CODES)
    spoken = {n: size for n, size in enumerate(sizes, 1) if size}
    assert spoken == {12: 9 * 1920 - HELD, 17: 9600, 22: 9600, 27: 9600, 32: 9600}


def test_first_chunk_is_the_network_run_whole_under_the_chunk_masks(decoder):
    one_voice, flow = voice(decoder, 1.2), decoder.flow
    assert len(one_voice.codes) == 15
    said = decoder.published_stream(one_voice, 7).push(CODES[:8])
    codes = torch.tensor([one_voice.codes.tolist() + CODES[:5]])
    mel = flow(
        codes,
        torch.tensor([CODES[5:8]]),
        torch.from_numpy(one_voice.mel)[None],
        torch.from_numpy(one_voice.speaker)[None],
        View(5),
    )
    with torch.no_grad():
        audio, _ = decoder.vocoder.published(
            mel[:, 60:].mT, torch.zeros(1, 1, 0), torch.Generator().manual_seed(7)
        )
    assert np.allclose(said, audio[0, :-HELD].numpy(), atol=1e-6)


def test_seams_are_faded(decoder):
    """The largest jump where chunks meet is no larger than those inside."""
    _, speech = one_by_one(decoder.published_stream(voice(decoder, 1.28), 0), CODES)
    jumps = np.abs(np.diff(speech))
    first = 9 * 1920 - HELD
    seams = [first - 1 + 9600 * k for k in range(5)]
    assert jumps[seams].max() <= np.delete(jumps, seams).max()


def test_wrong_use_is_refused(decoder):
    one_voice = voice(decoder)
    stream = decoder.published_stream(one_voice, 0)
    with pytest.raises(ValueError, match=f"code {N_CODES}, must be"):
        stream.push([N_CODES])
    assert stream.finish().size == 0
    with pytest.raises(RuntimeError, match="finished"):
        stream.push([1])
    with pytest.raises(ValueError, match="must be 'hift'"):
        speech_decoder().published_stream(one_voice, 0)
    whole = SpeechDecoder(flow_network(chunk_codes=0), hift())
    with pytest.raises(ValueError, match="chunk_codes is 0"):
        whole.published_stream(voice(whole), 0)
