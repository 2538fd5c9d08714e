from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import write_audio
from moss_speech.codec.load import save_codec
from moss_speech.codec.model import Codec
from moss_speech.corpus.encode import encode_corpus
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import Utterance
from tests.codec.small import noise, small_codec

CODES = st.lists(st.integers(0, 511), max_size=20).map(lambda c: np.array(c, np.int64))


@settings(max_examples=25)
@given(codes=st.dictionaries(st.text(min_size=1), CODES, max_size=8))
def test_store_gives_back_what_was_written(codes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    CodeStore.write(folder, codes, n_codes=512, codec_digest="a" * 64)
    store = CodeStore.open(folder, "a" * 64)
    assert list(store) == list(codes)
    assert all(np.array_equal(store[id_], codes[id_]) for id_ in codes)
    assert (store.n_codes, store.codec_digest) == (512, "a" * 64)
    assert "absent" + "".join(codes) not in store


def test_store_of_another_codec_is_refused(tmp_path):
    CodeStore.write(tmp_path, {"x": np.arange(3)}, n_codes=512, codec_digest="a" * 64)
    with pytest.raises(ValueError, match="codes of codec aaaaaaaaaaaa, must be of bbbbbbbbbbbb"):
        CodeStore.open(tmp_path, "b" * 64)


@pytest.fixture
def utterances(tmp_path):
    made = []
    for i, n_samples in enumerate((24_000, 30_000, 3_000, 40_000, 26_000)):
        path = tmp_path / f"{i}.flac"
        write_audio(path, noise(n_samples, seed=i), 24_000)
        made.append(Utterance(f"u{i}", path, n_samples / 24e3, "a", "x", "salad", "train", "train"))
    return made


@pytest.fixture
def codec(tmp_path):
    made = small_codec()
    save_codec(tmp_path / "codec", made.encoder, made.readout)
    return tmp_path / "codec"


def test_codes_cover_the_audio_at_its_own_rate(utterances, codec, tmp_path):
    codes = encode_corpus(utterances, codec, 2, tmp_path / "run")
    assert [len(codes[f"u{i}"]) for i in range(5)] == [13, 16, 2, 21, 14]


def test_killed_encoding_goes_on_where_it_stopped(utterances, codec, tmp_path, monkeypatch):
    whole = encode_corpus(utterances, codec, 2, tmp_path / "whole")
    calls: list[int] = []
    encode = Codec.encode

    def dying(self, audio):
        calls.append(len(audio))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(self, audio)

    monkeypatch.setattr(Codec, "encode", dying)
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(utterances, codec, 2, tmp_path / "broken")
    resumed = encode_corpus(utterances, codec, 2, tmp_path / "broken")
    assert calls == [2, 2, 2, 1]  # the first shard is not done again
    assert list(resumed) == list(whole)
    assert all(np.array_equal(resumed[id_], whole[id_]) for id_ in whole)


def test_two_processes_give_the_codes_of_one(utterances, codec, tmp_path):
    one = encode_corpus(utterances, codec, 2, tmp_path / "one")
    two = encode_corpus(utterances, codec, 2, tmp_path / "two", processes=2)
    assert list(one) == list(two)
    assert all(np.array_equal(one[id_], two[id_]) for id_ in one)


def test_unreadable_audio_is_named(utterances, codec, tmp_path):
    Path(utterances[1].audio).write_bytes(b"no audio")
    with pytest.raises(ValueError, match=r"1\.flac is not readable"):
        encode_corpus(utterances, codec, 2, tmp_path / "run")
