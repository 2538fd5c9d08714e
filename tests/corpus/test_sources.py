"""Real recordings come out of every layout as they went in."""

import gzip
import json
import os
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.audio import Span, read_audio, read_heading
from moss_speech.corpus.check import survey
from moss_speech.corpus.index import DiskIndex
from moss_speech.corpus.items import open_dialogues, utterance_of
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.corpus.sources import human
from moss_speech.corpus.sources.collect import collect_corpus
from moss_speech.corpus.sources.detect import find_kind
from moss_speech.corpus.sources.intake import slug, split_of
from moss_speech.corpus.sources.kinds import open_source
from moss_speech.corpus.sources.manifests import write_corpus
from moss_speech.corpus.sources.tables import read_lines
from moss_speech.params.base import validate_section
from moss_speech.params.corpus import Corpus
from moss_speech.params.sources import OneSource, SplitShares
from moss_speech.settings import settings
from moss_speech.speech.text import normalise
from moss_speech.storage import read_json, read_jsonl, tree_digest
from tests.corpus.layouts import LAYOUTS, clips

needs_clips = pytest.mark.skipif(
    not human.FOLDER.is_dir(), reason="pocketsphinx-testdata is not installed"
)
SHARES = SplitShares(train=0.5, dev=0.25, test=0.25)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project root."""
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def read_source(root: Path, kind: str, path: str, **more: Any) -> Path:
    """Bring a source into the corpus folder of a root."""
    values = {"kind": kind, "name": "it", "path": path, "licence": "BSD", "consent": "as published"}
    source = validate_section({"source": values | more}, OneSource, "").source
    out = root / "data" / "corpus"
    (out / "audio").mkdir(parents=True)
    write_corpus(out, Path("data/corpus"), [open_source(source, root, SHARES, out / "audio")])
    return out


def needed(layout: str) -> dict[str, Any]:
    """What a source of the layout must say besides."""
    return {
        "folder": {"speaker_folder": 1},
        "dialogues": {"speaker": "someone", "assistant": "bot"},
    }.get(layout, {})


@needs_clips
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_recordings_their_words_speakers_and_splits(
    root: Path, layout: str
) -> None:
    kind, write = LAYOUTS[layout]
    write(root / "raw")
    path = "raw/talks.jsonl" if layout == "dialogues" else "raw"
    assert find_kind(root / path) == kind
    corpus = read_source(root, kind, path, **needed(layout))
    assert read_jsonl(corpus / "quarantine.jsonl") == []
    found = [utterance_of(cut) for cut in open_corpus_cuts(corpus)]
    wanted = clips()
    said = {clip.text.replace(" ", "") if kind == "aishell1" else clip.text for clip in wanted}
    assert Counter(u.text for u in found) == Counter(normalise(text) for text in said)
    assert {u.speaker.removeprefix("it:").removeprefix("S") for u in found} == {"19", "26"}
    own_splits = layout not in ("folder", "dialogues")
    assert not own_splits or Counter(u.voice_split for u in found) == {"train": 3, "test": 2}
    assert {u.tags["transcript"] for u in found} == {"given"}
    assert {u.tags["source"] for u in found} == {"it"}
    assert len(open_dialogues(corpus)) == (5 if layout == "dialogues" else 0)
    (row,) = read_json(corpus / "sources.json")
    assert (row["kind"], row["counts"], row["undeclared"]) == (kind, {"items": 5}, False)


@needs_clips
@pytest.mark.parametrize("layout", ["librispeech", "aishell1", "lhotse", "cuts", "audio_folder"])
def test_lossless_audio_stays_where_it_is_and_sounds_the_same(root: Path, layout: str) -> None:
    kind, write = LAYOUTS[layout]
    write(root / "raw")
    corpus = read_source(root, kind, "raw")
    assert not list((corpus / "audio").iterdir())
    heard = {clip.name: read_audio(clip.file, 16000) for clip in clips()}
    for utterance in (utterance_of(cut) for cut in open_corpus_cuts(corpus)):
        samples_S = utterance.read(16000, root)
        assert utterance.audio.is_absolute() == (kind == "lhotse")
        assert np.array_equal(samples_S, heard[utterance.audio.stem[-3:]])


@needs_clips
@pytest.mark.parametrize("layout", ["shar", "tar", "parquet", "arrow"])
def test_audio_that_is_no_file_is_copied(root: Path, layout: str) -> None:
    kind, write = LAYOUTS[layout]
    write(root / "raw")
    corpus = read_source(root, kind, "raw")
    for utterance in (utterance_of(cut) for cut in open_corpus_cuts(corpus)):
        assert utterance.audio.parent == Path("data/corpus/audio")
        samples_S = utterance.read(24000, root)
        assert abs(samples_S.size / 24000 - utterance.duration_s) < 1e-3
        assert utterance.duration_s > 0.5


@needs_clips
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_twice_gives_the_same_bytes_and_checking_writes_nothing(
    root: Path, layout: str, tmp_path: Path
) -> None:
    kind, write = LAYOUTS[layout]
    write(root / "raw")
    path = root / "raw" / "talks.jsonl" if layout == "dialogues" else root / "raw"
    before = tree_digest(root)
    found = survey(path)
    assert tree_digest(root) == before
    assert (found.kind, found.utterances, found.refused, found.usable) == (kind, 5, None, True)
    more = needed(layout)
    first = read_source(root, kind, str(path), **more).rename(root / "first")
    again = read_source(root, kind, str(path), **more)
    assert tree_digest(first) == tree_digest(again)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.wav", {"subtype": "PCM_16"}),
        ("a.flac", {}),
        ("a.mp3", {"format": "MP3"}),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.aiff", {}),
    ],
)
def test_heading_names_the_length_that_is_read(tmp_path: Path, name: str, how: Any) -> None:
    tone = (0.3 * np.sin(np.arange(48_000) / 9)).astype(np.float32)
    soundfile.write(tmp_path / name, np.stack([tone, tone], 1), 48_000, **how)
    heading = read_heading(tmp_path / name)
    assert (heading.sample_rate_hz, heading.n_samples, heading.channels) == (48_000, 48_000, 2)
    assert read_audio(tmp_path / name, 48_000).size == 48_000


def test_pipes_and_dead_links_hold_up_neither_a_look_nor_a_table(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16_000)
    for name in ("README", "metadata.csv", "metadata.jsonl", "a.tar", "cuts.0.jsonl.gz"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "LICENSE").symlink_to("gone")
    found = survey(tmp_path)
    assert (found.kind, found.utterances, found.licences) == ("folder", 1, {})
    assert {name: p.count for name, p in found.problems.items()} == {"link": 1, "file": 5}
    for name in ("README", "cuts.0.jsonl.gz"):
        with pytest.raises(ValueError, match="is no regular file"):
            next(read_lines(tmp_path / name))


def test_streamed_mp3_without_a_named_length_is_counted(tmp_path: Path) -> None:
    tone = (0.3 * np.sin(np.arange(200_000) / 9)).astype(np.float32)
    soundfile.write(tmp_path / "a.mp3", tone, 44_100, format="MP3")
    content = (tmp_path / "a.mp3").read_bytes()
    second = content.index(content[:2], 100)
    (tmp_path / "b.mp3").write_bytes(content[second:])
    heading = read_heading(tmp_path / "b.mp3")
    assert heading.n_samples == read_audio(tmp_path / "b.mp3", 44_100).size


def test_m4a_is_decoded_by_the_codec_library(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    tone = (0.3 * np.sin(np.arange(44_100) / 9)).astype(np.float32)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    heading = read_heading(tmp_path / "a.m4a")
    samples_S = read_audio(tmp_path / "a.m4a", 44_100)
    assert (heading.format, heading.n_samples) == ("AAC", samples_S.size)
    assert abs(samples_S.size - 44_100) < 2 * 1024
    spectrum = np.abs(np.fft.rfft(samples_S[:40_000]))
    assert abs(int(spectrum.argmax()) - 40_000 / 9 / (2 * np.pi)) < 3


def _long(folder: Path, supervisions: list[dict[str, Any]]) -> None:
    """A stereo recording of three seconds, and supervisions of it."""
    folder.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(-0.5, 0.5, 48_000, dtype=np.float32)
    soundfile.write(folder / "long.wav", np.stack([ramp, -ramp], 1), 16_000, subtype="FLOAT")
    source = {"type": "file", "channels": [0, 1], "source": "long.wav"}
    recording = {"id": "long", "sources": [source], "sampling_rate": 16_000}
    rows = [recording | {"num_samples": 48_000, "duration": 3.0}]
    plain = {"recording_id": "long", "channel": 0, "speaker": "ann", "text": "a word"}
    for name, content in (("recordings", rows), ("supervisions", supervisions)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as lines:
            for row in content:
                full = plain | row if name == "supervisions" else row
                lines.write(json.dumps(full) + "\n")


@given(
    parts=st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(800, 8000), st.integers(0, 1)),
        min_size=1,
        max_size=6,
    )
)
def test_segments_and_channels_of_one_recording_are_read_where_they_lie(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    rows = [
        {"id": f"s{n}", "start": a / 16_000, "duration": d / 16_000, "channel": c}
        for n, (a, d, c) in enumerate(parts)
    ]
    _long(root / "raw", rows)
    corpus = read_source(root, "lhotse", str(root / "raw"))
    cuts = list(open_corpus_cuts(corpus))
    assert [cut.id for cut in cuts] == [f"it-s{n}" for n in range(len(parts))]
    assert len({cut.recording.id for cut in cuts}) == 1
    whole_SC, _ = soundfile.read(root / "raw" / "long.wav", dtype="float32")
    for cut, (first, n_samples, channel) in zip(cuts, parts, strict=True):
        utterance = utterance_of(cut)
        assert utterance.span == Span(first / 16_000, n_samples / 16_000)
        heard_S = read_audio(root / "raw/long.wav", 16_000, utterance.span, utterance.channel)
        assert np.array_equal(heard_S, whole_SC[first : first + n_samples, channel])


@needs_clips
def test_stage_collects_several_sources_and_counts_them(root: Path) -> None:
    LAYOUTS["librispeech"][1](root / "libri")
    LAYOUTS["tar"][1](root / "shards")
    (root / "libri/LibriSpeech/train-clean/19/7/19-7-099.flac").write_bytes(b"")
    terms = {"licence": "BSD", "consent": "as published"}
    libri = {"kind": "librispeech", "name": "libri", "path": "libri"} | terms
    shards = {"kind": "tar", "name": "shards", "path": "shards"} | terms
    values = {"threads": 1, "embedded": None, "human_test": False, "sources": [libri, shards]}
    values |= {"synthesised": [], "split_shares": SHARES.model_dump()}
    out = root / "data" / "corpus"
    out.mkdir(parents=True)
    counts = collect_corpus(validate_section(values, Corpus, ""), 1, out, Path("data/corpus"))
    assert counts == {"items/libri": 5, "items/shards": 5}
    rows = {row["name"]: row["quarantined"] for row in read_json(out / "sources.json")}
    assert rows == {"libri": {"unreadable": 1}, "shards": {}}
    assert {cut.supervisions[0].custom["source"] for cut in open_corpus_cuts(out)} == set(rows)
    with pytest.raises(ValueError, match="the name 'libri' is taken"):
        validate_section(values | {"sources": [libri, libri]}, Corpus, "")


def test_source_that_holds_nothing_is_refused_with_what_was_quarantined(root: Path) -> None:
    _long(root / "raw", [{"id": "s", "start": 7.0, "duration": 3.0}])
    source = {"kind": "lhotse", "name": "it", "path": "raw", "undeclared": True}
    values = {"threads": 1, "embedded": None, "human_test": False, "sources": [source]}
    values |= {"synthesised": [], "split_shares": SHARES.model_dump()}
    (root / "out").mkdir()
    with pytest.raises(ValueError, match=r"corpus is empty: .*; quarantined: {'span': 1}"):
        collect_corpus(validate_section(values, Corpus, ""), 1, root / "out", Path("data/corpus"))


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), st.text()), max_size=40))
def test_manifest_written_row_by_row_has_the_bytes_of_one_written_at_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]
) -> None:
    file = tmp_path_factory.mktemp("m") / "a.jsonl.gz"
    write_manifest(file, [Named(row) for row in rows])
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
    assert file.read_bytes() == gzip.compress("".join(lines).encode(), mtime=0)


@dataclass(frozen=True)
class Named:
    """Something that a manifest holds."""

    row: dict[str, str]

    def to_dict(self) -> dict[str, str]:
        return self.row


def _peak_bytes(root: Path, n_utterances: int) -> int:
    """Most memory that reading, writing and reopening a manifest of so many rows holds at once."""
    rows = [
        {"id": f"utterance {n}", "start": n % 25 / 10, "duration": 0.5, "text": "many words " * 40}
        for n in range(n_utterances)
    ]
    _long(root / "raw", rows)
    del rows
    tracemalloc.start()
    try:
        corpus = read_source(root, "lhotse", str(root / "raw"))
        assert sum(1 for _ in open_corpus_cuts(corpus)) == n_utterances
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_manifest(root: Path) -> None:
    """1,200 more rows would hold 0.5 MB in words alone."""
    _peak_bytes(root / "warm", 100)
    few, many = (_peak_bytes(root / str(n), n) for n in (300, 1500))
    assert many - few < 200_000


def test_undeclared_source_is_refused_unless_it_says_so(root: Path) -> None:
    values = {"kind": "aishell1", "name": "it", "path": "raw"}
    with pytest.raises(ValueError, match="'it' declares no licence and no consent, must say both"):
        validate_section({"source": values}, OneSource, "")
    _long(root / "raw", [{"id": "s", "start": 0.0, "duration": 3.0}])
    corpus = read_source(root, "lhotse", "raw", licence=None, consent=None, undeclared=True)
    (row,) = read_json(corpus / "sources.json")
    assert (row["undeclared"], row["licence"], row["consent"]) == (True, "undeclared", "undeclared")


def test_transcripts_may_be_declared_missing_or_none(root: Path) -> None:
    _long(root / "raw", [{"id": "s", "start": 0.0, "duration": 3.0}])
    for declared in ("missing", "none"):
        corpus = read_source(root, "lhotse", "raw", transcripts=declared)
        (utterance,) = [utterance_of(cut) for cut in open_corpus_cuts(corpus)]
        assert (utterance.text, utterance.tags["transcript"]) == ("", declared)
        corpus.rename(root / declared)


@given(names=st.lists(st.text(max_size=400), max_size=30))
def test_ids_are_safe_names_of_files_for_any_text(names: list[str]) -> None:
    for name in names:
        made = slug(name)
        assert made and "/" not in made and len(made.encode()) < 200
        assert slug(name) == made


@given(names=st.lists(st.text(min_size=1, max_size=20), max_size=50))
def test_index_keeps_the_first_of_a_name(names: list[str]) -> None:
    index = DiskIndex()
    added = [name for place, name in enumerate(names) if index.add(name, str(place))]
    assert added == list(dict.fromkeys(names))
    assert all(index.get(name) == str(names.index(name)) for name in names)
    assert index.get("") is None


def test_speakers_are_split_as_the_shares_say() -> None:
    splits = Counter(split_of(f"speaker {n}", SHARES) for n in range(4000))
    assert {name: round(n / 4000, 1) for name, n in splits.items()} == pytest.approx(
        {"train": 0.5, "dev": 0.25, "test": 0.25}, abs=0.06
    )
    assert split_of("ann", SplitShares(train=0.0, dev=0.0, test=1.0)) == "test"
