"""The wire audio against Python's own G.711 and for any cut into pieces."""

import audioop

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.audio import resample
from services.realtime.audio import FORMATS, FormatName, Speaker, Tape
from tests.tiny_bundle import speech_like

ALL_16_BIT = np.arange(-(2**15), 2**15)
LAWS: list[FormatName] = ["audio/pcmu", "audio/pcma"]


@pytest.mark.parametrize(
    ("name", "reference"), [("audio/pcmu", audioop.lin2ulaw), ("audio/pcma", audioop.lin2alaw)]
)
def test_every_16_bit_value_is_written_as_the_reference_does(
    name: FormatName, reference: type
) -> None:
    samples = (ALL_16_BIT / 32767).astype(np.float32)
    expected = reference(np.clip(ALL_16_BIT, -32767, None).astype("<i2").tobytes(), 2)
    assert FORMATS[name].write(samples) == expected


@pytest.mark.parametrize(
    ("name", "reference"), [("audio/pcmu", audioop.ulaw2lin), ("audio/pcma", audioop.alaw2lin)]
)
def test_every_byte_is_read_as_the_reference_does(name: FormatName, reference: type) -> None:
    every = bytes(range(256))
    read = FORMATS[name].read(every) * 2**15
    assert read.astype("<i2").tobytes() == reference(every, 2)


@given(st.binary(max_size=600))
def test_pcm_is_little_endian_16_bit(data: bytes) -> None:
    data = data[: len(data) // 2 * 2]
    read = FORMATS["audio/pcm"].read(data)
    assert np.array_equal(read * 2**15, np.frombuffer(data, "<i2"))
    again = np.frombuffer(FORMATS["audio/pcm"].write(read), "<i2")
    assert np.abs(again.astype(int) - np.frombuffer(data, "<i2")).max(initial=0) <= 1


@pytest.mark.parametrize("name", LAWS)
@given(data=st.binary(max_size=300))
def test_g711_that_was_read_is_written_as_it_was(name: FormatName, data: bytes) -> None:
    wire = FORMATS[name]
    values = wire.read(data)
    assert np.array_equal(wire.read(wire.write(values)), values)


@pytest.mark.parametrize("name", list(FORMATS))
@given(cuts=st.lists(st.integers(0, 24000), max_size=6))
def test_spoken_pieces_join_to_the_whole(name: FormatName, cuts: list[int]) -> None:
    wire = FORMATS[name]
    samples = speech_like(1.0, 24000)
    speaker = Speaker(wire, 24000)
    pieces = np.split(samples, sorted(cuts))
    said = b"".join(speaker.push(p) for p in pieces) + speaker.push(samples[:0], last=True)
    whole = samples if wire.rate_hz == 24000 else resample(samples, 24000, wire.rate_hz)
    heard, expected = wire.read(said), wire.read(wire.write(whole))
    assert heard.size == expected.size
    assert np.abs(heard - expected).max() <= 2**-5  # a step of G.711 at full loudness


@pytest.mark.parametrize("name", list(FORMATS))
@given(sizes=st.lists(st.integers(0, 400), max_size=30), begin=st.integers(0, 900))
def test_tape_holds_the_newest(name: FormatName, sizes: list[int], begin: int) -> None:
    wire = FORMATS[name]
    tape = Tape(wire, begin_ms=100, max_ms=1000)
    everything = b""
    for i, size_ms in enumerate(sizes):
        data = bytes([i]) * (size_ms * wire.bytes_per_ms)
        everything += data
        tape.push(data)
    end_ms = 100 + sum(sizes)
    assert tape.end_ms == end_ms
    newest = max(100, end_ms - 1000 + min(begin, 999))
    expected = everything[(newest - 100) * wire.bytes_per_ms :]
    assert tape.cut(newest, end_ms - newest) == expected
