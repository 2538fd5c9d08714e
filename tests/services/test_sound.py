"""Files and streams of spoken answers, read back by libsndfile; the mark in them."""

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.inference.questions import read_question
from services.mark import HEADER, Mark, sting
from services.served import ModelInfo
from services.sound import MEDIA_TYPES, Kind, sound_file, sound_stream
from tests.tiny_bundle import speech_like, spoken

MODEL = ModelInfo("moss-speech", "7", "ab" * 32)
RATE_HZ = 24000
COMMENT = Mark("metadata", MODEL).comment
FILES: list[Kind] = ["wav", "flac", "mp3", "opus"]
EXACT: list[Kind] = ["wav", "flac"]


def read(data: bytes) -> tuple[np.ndarray, str]:
    """Samples and comment; block by block, for the length of a stream is not known."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.samplerate == RATE_HZ
        return np.concatenate([*file.blocks(1000, dtype="float32")]), file.comment


@pytest.mark.parametrize("kind", FILES)
def test_whole_file_holds_the_sound_and_the_mark(kind: Kind) -> None:
    said = speech_like(1.3, RATE_HZ)
    heard, comment = read(sound_file(said, RATE_HZ, kind, COMMENT))
    assert comment == COMMENT
    assert "7" in comment
    assert MODEL.digest in comment
    if kind in EXACT:
        assert heard == pytest.approx(said, abs=1 / 32767)
    else:
        assert heard.size == pytest.approx(said.size, abs=2400)
        assert np.square(heard).mean() == pytest.approx(np.square(said).mean(), rel=0.1)


@pytest.mark.parametrize("kind", FILES)
def test_file_without_a_mark_has_no_comment(kind: Kind) -> None:
    assert read(sound_file(speech_like(0.5, RATE_HZ), RATE_HZ, kind))[1] == ""


@pytest.mark.parametrize("kind", MEDIA_TYPES)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 40000), max_size=6))
def test_stream_in_any_pieces_is_the_whole(kind: Kind, cuts: list[int]) -> None:
    said = speech_like(1.3, RATE_HZ)
    stream = sound_stream(RATE_HZ, kind, COMMENT)
    sent = b"".join(stream.push(piece) for piece in np.split(said, sorted(cuts)))
    sent += stream.finish()
    stream.close()
    if kind == "pcm":
        assert sent == sound_file(said, RATE_HZ, "pcm")
        return
    at_once = sound_stream(RATE_HZ, kind, COMMENT)
    whole = at_once.push(said) + at_once.finish()
    at_once.close()
    if kind == "opus":  # the container has a serial number of its own each time
        assert len(sent) == len(whole)
    else:
        assert sent == whole


@pytest.mark.parametrize("kind", FILES)
def test_stream_is_readable_and_marked(kind: Kind) -> None:
    said = speech_like(2.5, RATE_HZ)
    stream = sound_stream(RATE_HZ, kind, COMMENT)
    pieces = [stream.push(piece) for piece in np.split(said, 10)]
    if kind != "flac":
        assert sum(map(bool, pieces)) >= 2  # not all at the end
    heard, comment = read(b"".join(pieces) + stream.finish())
    stream.close()
    assert comment == COMMENT
    assert heard.size == pytest.approx(said.size, abs=2400)


@pytest.mark.parametrize("kind", FILES)
def test_stream_is_a_question_that_can_be_asked(kind: Kind) -> None:
    said = spoken(rate_hz=RATE_HZ)
    stream = sound_stream(RATE_HZ, kind, COMMENT)
    sent = b"".join(stream.push(piece) for piece in np.array_split(said, 7)) + stream.finish()
    stream.close()
    heard = read_question(io.BytesIO(sent))
    assert heard.size / 16000 == pytest.approx(said.size / RATE_HZ, abs=0.1)


def test_abandoned_streams_give_their_pipes_back() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    for kind in MEDIA_TYPES:
        stream = sound_stream(RATE_HZ, kind, COMMENT)
        stream.push(speech_like(0.4, RATE_HZ))
        stream.close()
        stream.close()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_mark_follows_the_setting() -> None:
    none, metadata, audible = (Mark(kind, MODEL) for kind in ("none", "metadata", "audible"))
    assert none.headers == {}
    assert metadata.headers == audible.headers == {HEADER: COMMENT}
    assert none.opening(RATE_HZ).size == metadata.opening(RATE_HZ).size == 0
    heard = audible.opening(RATE_HZ)
    assert 0.2 < heard.size / RATE_HZ < 0.3
    assert 0.03 < np.abs(heard).max() < 0.1  # soft, but there
    assert abs(heard[0]) < 1e-3
    assert abs(heard[-1]) < 1e-3  # no click into the speech


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_sting_has_two_tones_at_every_rate(rate_hz: int) -> None:
    first, second = sting(rate_hz)[: 2 * round(0.09 * rate_hz)].reshape(2, -1)
    pitches = [np.abs(np.fft.rfft(tone, rate_hz)).argmax() for tone in (first, second)]
    assert pitches == pytest.approx([880, 1175], abs=6)


@pytest.mark.parametrize("kind", ["mp3", "opus"])
def test_stream_is_closed_only_after_the_piece_that_a_thread_encodes(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = sound_stream(RATE_HZ, kind)
    writing, go_on = threading.Event(), threading.Event()
    write = soundfile.SoundFile.write

    def held(file: soundfile.SoundFile, samples: np.ndarray) -> None:
        writing.set()
        assert go_on.wait(10)
        assert not file.closed
        write(file, samples)

    monkeypatch.setattr(soundfile.SoundFile, "write", held)
    pushed: list[bytes] = []
    encoding = threading.Thread(
        target=lambda: pushed.append(stream.push(speech_like(0.3, RATE_HZ)))
    )
    encoding.start()
    assert writing.wait(10)
    closing = threading.Thread(target=stream.close)
    closing.start()
    time.sleep(0.1)
    go_on.set()
    encoding.join()
    closing.join()
    assert pushed
