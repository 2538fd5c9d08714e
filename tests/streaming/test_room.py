"""Codes to sound in rooms of several streams: any cutting, neighbours, ends, seams, failures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoder.networks import N_CODES, speech_decoder, voice

TOLERANCE = 2e-5
"""Of samples in -1..1; the worst measured is 2e-6."""
CODES = np.random.default_rng(3).integers(N_CODES, size=90)


@pytest.fixture(scope="module", params=[0, 2], ids=["coarse", "flow"])
def decoder(request):
    return speech_decoder(steps=request.param, noise_frames=200)


def drain(room, said):
    while pieces := room.advance():
        for stream, piece in pieces.items():
            said.setdefault(stream, []).append(piece)


def alone(decoder, codes, slots, slot=0):
    room, said = decoder.room(voice(decoder), slots), {}
    *_, stream = [room.join() for _ in range(slot + 1)]
    stream.push(codes)
    stream.end()
    drain(room, said)
    return np.concatenate(said[stream])


@settings(max_examples=10)
@given(
    sizes=st.lists(st.integers(1, 12), max_size=12),
    n=st.integers(1, 90),
    duration_s=st.sampled_from([1.0, 1.12, 1.2, 1.28, 1.36]),
)
def test_any_cutting_equals_the_whole_decode_however_long(decoder, sizes, n, duration_s):
    one_voice = voice(decoder, duration_s)
    stream = decoder.stream(one_voice)
    cuts = np.minimum(np.cumsum(sizes), n) if sizes else []
    pieces = [stream.push(piece) for piece in np.split(CODES[:n], cuts)]
    made = np.concatenate([*pieces, stream.finish()])
    wanted = decoder.decode(CODES[:n], one_voice)
    assert len(made) == len(wanted) == 1920 * n
    assert np.abs(made - wanted).max() < TOLERANCE


def test_streams_that_come_and_go_have_the_bits_of_being_alone(decoder):
    room, said, streams = decoder.room(voice(decoder), 3), {}, {}
    draw = np.random.default_rng(1)
    replies = [CODES[draw.integers(50) :][: draw.integers(1, 40)] for _ in range(7)]
    queue, at = list(range(7)), dict.fromkeys(range(7), 0)
    while queue or streams:
        while queue and len(streams) < 3:
            streams[queue[0]] = room.join()
            queue.pop(0)
        for k, stream in list(streams.items()):
            size = int(draw.integers(1, 9))
            stream.push(replies[k][at[k] : at[k] + size])
            at[k] += size
            if at[k] >= len(replies[k]):
                stream.end()
        drain(room, said)
        for k, stream in list(streams.items()):
            if stream.ended:
                made = np.concatenate(said[stream])
                assert len(made) == 1920 * len(replies[k])
                assert np.array_equal(made, alone(decoder, replies[k], 3, stream.slot))
                assert np.abs(made - alone(decoder, replies[k], 1)).max() < TOLERANCE
                stream.leave()
                del streams[k]


def test_a_stream_that_fails_leaves_its_neighbours_as_they_were(decoder):
    room, said = decoder.room(voice(decoder), 2), {}
    good, bad = room.join(), room.join()
    good.push(CODES[:20])
    bad.push(CODES[:9])
    drain(room, said)
    with pytest.raises(ValueError, match=f"code {N_CODES}, must be"):
        bad.push([1, N_CODES])
    bad.leave()
    good.push(CODES[20:33])
    good.end()
    drain(room, said)
    assert np.array_equal(np.concatenate(said[good]), alone(decoder, CODES[:33], 2))


def test_a_full_room_and_a_room_without_slots_are_refused(decoder):
    room = decoder.room(voice(decoder), 1)
    first = room.join()
    with pytest.raises(RuntimeError, match="all 1 slots"):
        room.join()
    first.leave()
    room.join()
    with pytest.raises(ValueError, match="slots is 0"):
        decoder.room(voice(decoder), 0)


def test_a_reply_without_codes_ends_in_silence(decoder):
    room = decoder.room(voice(decoder), 1)
    stream = room.join()
    stream.end()
    assert room.advance() == {}


def test_seams_are_no_rougher_than_the_inside_of_chunks(decoder):
    """The largest jump between samples at chunk borders against those elsewhere."""
    stream, ends, n, pieces = decoder.stream(voice(decoder)), [], 0, []
    for code in CODES:
        pieces.append(stream.push([code]))
        n += pieces[-1].size
        ends.append(n)
    speech = np.concatenate([*pieces, stream.finish()])
    jumps = np.abs(np.diff(speech))
    seams = sorted({e - 1 for e in ends if 0 < e < len(speech)})
    assert len(seams) >= 15
    inside = np.delete(jumps, seams)
    assert jumps[seams].max() <= inside.max()


def test_longest_voice_is_used_from_its_end(decoder):
    short = speech_decoder(voice_codes=7)
    long_voice = voice(short, 1.36)
    made = short.decode(CODES[:10], long_voice)
    assert not np.allclose(made, speech_decoder().decode(CODES[:10], long_voice), atol=1e-4)
