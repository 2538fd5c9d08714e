"""Damaged and hostile sources: quarantined with a reason, or refused by file, line and value.

Beside every damaged item lies a sound one, which goes through.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from moss_speech.corpus.manifests import open_corpus_cuts
from moss_speech.corpus.sources import tar_members, tar_shards
from moss_speech.corpus.sources.kinds import open_source
from moss_speech.corpus.sources.manifests import write_corpus
from moss_speech.params.base import validate_section
from moss_speech.params.sources import OneSource, SplitShares
from moss_speech.settings import settings
from moss_speech.storage import read_jsonl
from tests.bad_input.source_makers import (
    RATE_HZ,
    aishell,
    asked,
    both,
    cv,
    file,
    folder_loop,
    half_a_parquet,
    heard,
    lhotse,
    libri,
    lines_of_cuts,
    link,
    misnamed,
    outside,
    pipe,
    put,
    renamed_column,
    same_id,
    shar,
    special,
    table,
    talks,
    tar,
    tone,
    wav,
    worded,
    zipped,
)

SHARES = SplitShares(train=1.0, dev=0.0, test=0.0)


@dataclass(frozen=True)
class Kind:
    """Something wrong, how it is made in an empty folder, and the words it ends with."""

    name: str
    make: Callable[[Path], None]
    words: str
    """In the row of the quarantine (reason, value, allowed), or in the refusal."""
    kind: str = "folder"
    refused: bool = False
    more: dict[str, Any] = field(default_factory=dict)


FLAC = io.BytesIO()
soundfile.write(FLAC, np.random.default_rng(2).uniform(-0.5, 0.5, 48_000), RATE_HZ, format="FLAC")
IMPORTED = {"import": True}
TSV = "client_id\tpath\tsentence\tlocale\n"
LONG_ROW = "ann\tb.mp3\t" + "word " * 1_000_000 + "\ten"
KINDS = [
    # audio
    Kind("file of zero bytes", put("a.wav", b""), "unreadable"),
    Kind("text with the name of audio", put("a.flac", "not audio at all"), "not readable audio"),
    Kind("wav without a body", put("a.wav", b"RIFF\x24\x00\x00\x00WAVE"), "unreadable"),
    Kind("zip bomb named wav", zipped, "not readable audio"),
    Kind("wav of zero samples", heard("a.wav", np.zeros(0, np.float32)), "holds 0 samples"),
    Kind("random bytes named mp3", put("a.mp3", bytes(range(256)) * 40), "unreadable"),
    Kind("broken m4a", put("a.m4a", b"\0\0\0\x20ftypM4A "), "not readable audio"),
    Kind("foreign format", put("a.wma", b"1234"), ".wma"),
    Kind("headerless samples", put("a.raw", bytes(32_000)), ".raw"),
    Kind(
        "NaN samples",
        heard("a.wav", np.array([np.nan] * 800, np.float32), subtype="FLOAT"),
        "holds NaN or infinite",
        more=IMPORTED,
    ),
    Kind(
        "infinite samples",
        heard("a.wav", np.array([np.inf] * 800, np.float32), subtype="FLOAT"),
        "holds NaN or infinite",
        more=IMPORTED,
    ),
    Kind(
        "absurdly loud samples",
        heard("a.wav", np.full(800, 1e20, np.float32), subtype="FLOAT"),
        "must be at most 1e+06",
        more=IMPORTED,
    ),
    Kind(
        "absurd sample rate",
        heard("a.wav", tone(), 1_000_003),
        "must have 4000..192000",
        more=IMPORTED,
    ),
    Kind(
        "cut off flac",
        put("a.flac", FLAC.getvalue()[:20_000]),
        "must be whole audio",
        more=IMPORTED,
    ),
    Kind("link to nothing", link("nowhere.wav"), "link: to nothing"),
    Kind("link to itself", link("a.wav"), "link: to nothing"),
    Kind("link to a recording outside", outside("out.wav", "a.wav"), "link: "),
    Kind(
        "link to a text outside",
        both(put("a.wav", wav()), outside("out.txt", "a.txt")),
        "must be a path inside",
    ),
    Kind(
        "table that leads outside by a link to a folder",
        outside("", "out", "metadata.csv", "file,text\nout/out.wav,a\n"),
        "line 2 names 'out/out.wav', must be a path inside",
        refused=True,
    ),
    Kind(
        "clips that link outside",
        outside("out.wav", "clips/a.mp3", "train.tsv", TSV + "ann\ta.mp3\tword\ten\n"),
        "path names 'a.mp3', must be a path inside",
        "common_voice",
        True,
    ),
    Kind(
        "turn whose recording links outside",
        outside("out.wav", "a.wav", "dialogues.jsonl", json.dumps(asked(audio="a.wav"))),
        "turns.0.audio names 'a.wav', must be a path inside",
        "dialogues",
        True,
    ),
    Kind(
        "LibriSpeech whose recording links outside",
        both(
            libri(b"19-7-0001 WORD\n"),
            outside("out.wav", "train-clean-100/19/7/19-7-0001.flac"),
        ),
        "link: ",
        "librispeech",
    ),
    Kind("pipe named as audio", pipe("a.wav"), "file: a pipe, socket or device"),
    Kind("pipe of no known name", pipe("README"), "file: a pipe, socket or device"),
    Kind("pipe beside audio", pipe("sound.txt"), "file: a pipe, socket or device"),
    Kind("folder that links to itself", folder_loop, "to a folder"),
    Kind("folder with the name of audio", link("/", "a.wav"), "to a folder"),
    Kind("name of a file that is no Unicode", misnamed, "name: holds the letter '\\udcff'"),
    Kind("two files with one id", same_id, "duplicate id"),
    # transcripts in files of their own
    Kind("transcript in Latin-1", worded("caf\u00e9".encode("latin-1")), "is not UTF-8: byte 0xe9"),
    Kind("transcript in UTF-16", worded("a word".encode("utf-16")), "is not UTF-8: byte 0xff"),
    Kind("transcript of 1 MB", worded(b"word " * 200_000), "must have at most 40000"),
    Kind("transcript above the letters", worded(b"word " * 4000), "at most 10000 letters"),
    Kind("transcript with NUL", worded(b"a\0b"), "control characters"),
    Kind("transcript lost in conversion", worded("wo\ufffdrd".encode()), "control characters"),
    Kind("no transcript though declared", put("a.wav", wav()), "`transcripts: given` says"),
    Kind("no folder that names the speaker", put("a.wav", wav()), "names the speaker"),
    # tables of folders
    Kind(
        "table in UTF-16",
        put("metadata.csv", "file,text\n".encode("utf-16")),
        "line 1 is not UTF-8",
        refused=True,
    ),
    Kind(
        "table of other columns",
        put("metadata.csv", "a,b\n1,2\n"),
        "line 2 has a, b; must have file",
        refused=True,
    ),
    Kind(
        "table with a short row",
        put("metadata.csv", "file,text\nsound.wav\n"),
        "line 2 has 1 fields, must have 2",
        refused=True,
    ),
    Kind(
        "table with a long row",
        put("metadata.csv", "file,text\nsound.wav,a,b\n"),
        "line 2 has 3 fields, must have 2",
        refused=True,
    ),
    Kind(
        "table with an open quote",
        put("metadata.csv", 'file,text\nsound.wav,"a\n'),
        "line 2: unexpected end",
        refused=True,
    ),
    Kind(
        "table with a repeated column",
        put("metadata.csv", "file,text,text\nsound.wav,a,b\n"),
        "column 'text' 2 times",
        refused=True,
    ),
    Kind(
        "table that names a file twice",
        put("metadata.csv", "file,text\nsound.wav,a\nsound.wav,b\n"),
        "line 3 names 'sound.wav' again",
        refused=True,
    ),
    Kind(
        "table that leads outside",
        put("metadata.csv", "file,text\n../../etc/passwd,a\n"),
        "must be a path inside",
        refused=True,
    ),
    Kind(
        "table with an absolute path",
        put("metadata.csv", "file,text\n/etc/passwd,a\n"),
        "must be a path inside",
        refused=True,
    ),
    Kind(
        "table that names no file",
        put("metadata.csv", "file,text\n,a\n"),
        "line 2: file is ''",
        refused=True,
    ),
    Kind(
        "table of a lost file",
        put("metadata.csv", "file,text\nno.wav,a\n"),
        "which is not in the folder",
        refused=True,
    ),
    Kind(
        "cell of 1 MB",
        put("metadata.csv", "file,text\nsound.wav," + "a" * 1_000_000),
        "field larger than field limit",
        refused=True,
    ),
    Kind(
        "JSON that is cut off",
        put("metadata.jsonl", '{"file": "sound.wav", "te'),
        "line 1 is not JSON",
        refused=True,
    ),
    Kind(
        "JSON nested without end",
        put("metadata.jsonl", "[" * 100_000),
        "line 1 is not JSON",
        refused=True,
    ),
    Kind(
        "JSON row that is a list", put("metadata.jsonl", "[1, 2]"), "line 1 is a list", refused=True
    ),
    Kind(
        "JSON text that is a number",
        put("metadata.jsonl", '{"file": "sound.wav", "text": 3}'),
        "line 1: text is 3, must be text",
        refused=True,
    ),
    # Common Voice
    Kind(
        "row without a speaker",
        cv("\ta.mp3\tword\ten"),
        "line 3: client_id is ''",
        "common_voice",
        True,
    ),
    Kind(
        "row with too few columns",
        cv("ann\ta.mp3"),
        "line 3 has 2 fields, must have 4",
        "common_voice",
        True,
    ),
    Kind("row of a lost clip", cv("ann\tno.mp3\tword\ten"), "missing", "common_voice"),
    Kind(
        "row that leads outside",
        cv("ann\t../../x.mp3\tword\ten"),
        "line 3: path names '../../x.mp3'",
        "common_voice",
        True,
    ),
    Kind(
        "row above the longest line",
        cv(LONG_ROW),
        "line 3 is above 4000000 bytes",
        "common_voice",
        True,
    ),
    Kind("the same clip twice", cv("bob\tsound.mp3\tother\ten"), "duplicate id", "common_voice"),
    Kind(
        "table without its columns",
        cv(head="client\tfile\ttext\tlocale"),
        "must have client_id, path, sentence",
        "common_voice",
        True,
    ),
    # LibriSpeech, AISHELL-1
    Kind(
        "transcript of another chapter",
        libri(b"20-7-0000 WORD\n"),
        "line 2: the id is '20-7-0000'",
        "librispeech",
        True,
    ),
    Kind(
        "transcript given twice", libri(b"19-7-0000 WORD\n"), "is there twice", "librispeech", True
    ),
    Kind("transcript without its recording", libri(b"19-7-0001 WORD\n"), "missing", "librispeech"),
    Kind("recording of zero bytes", libri(b"", "19-7-0002.flac"), "unreadable", "librispeech"),
    Kind(
        "transcript of mixed encodings",
        libri(b"19-7-0001 \xff\n"),
        "line 2 is not UTF-8: byte 0xff",
        "librispeech",
        True,
    ),
    Kind("id without words", aishell("B2"), "line 2: id 'B2' has no words", "aishell1", True),
    Kind("id given twice", aishell("B1 好"), "line 2: id 'B1' is there twice", "aishell1", True),
    # Lhotse
    Kind("negative duration", lhotse(duration=-1.0), "line 2: duration is -1.0", "lhotse", True),
    Kind(
        "duration that is no number",
        lhotse(duration="long"),
        "line 2: duration is 'long'",
        "lhotse",
        True,
    ),
    Kind("infinite start", lhotse(start=float("inf")), "line 2: start is inf", "lhotse", True),
    Kind("NaN duration", lhotse(duration=float("nan")), "line 2: duration is nan", "lhotse", True),
    Kind("negative start", lhotse(start=-0.5), "inside 0..1 s", "lhotse"),
    Kind("span beyond the recording", lhotse(start=0.9), "inside 0..1 s", "lhotse"),
    Kind("channel that is not there", lhotse(channel=7), "one of [0]", "lhotse"),
    Kind(
        "supervision of no recording",
        lhotse(recording_id="no"),
        "recording_id 'no' is not in",
        "lhotse",
        True,
    ),
    Kind("supervision of no speaker", lhotse(speaker=None), "names no speaker", "lhotse", True),
    Kind(
        "speaker with control characters", lhotse(speaker="a\x07nn"), "control characters", "lhotse"
    ),
    Kind("text of 1 MB", lhotse(text="word " * 200_000), "at most 10000 letters", "lhotse"),
    Kind("two supervisions of one id", lhotse(id="good"), "duplicate id", "lhotse"),
    Kind(
        "two recordings of one id",
        lhotse(recording__id="r", recording_id="r"),
        "id 'r' came before",
        "lhotse",
        True,
    ),
    Kind(
        "a shell line as a source",
        lhotse(recording__sources=[{"type": "command", "channels": [0], "source": "touch run"}]),
        "command",
        "lhotse",
    ),
    Kind(
        "an address as a source",
        lhotse(recording__sources=[{"type": "url", "channels": [0], "source": "http://a"}]),
        "url",
        "lhotse",
    ),
    Kind(
        "a device as a source",
        lhotse(recording__sources=[{"type": "file", "channels": [0], "source": "/dev/zero"}]),
        "missing",
        "lhotse",
    ),
    Kind(
        "recording that is changed on the way",
        lhotse(recording__transforms=[{"name": "Speed"}]),
        "untransformed",
        "lhotse",
    ),
    Kind("recording of no source", lhotse(recording__sources=[]), "no source", "lhotse"),
    Kind(
        "recording of zero length",
        lhotse(recording__duration=0),
        "line 2: duration is 0",
        "lhotse",
        True,
    ),
    Kind(
        "cut of several recordings",
        lines_of_cuts({"id": "a", "type": "MixedCut", "start": 0, "duration": 1}),
        "line 1: type is 'MixedCut'",
        "lhotse",
        True,
    ),
    Kind(
        "cut without a recording",
        lines_of_cuts({"id": "a", "start": 0, "duration": 1, "channel": 0}),
        "line 1: recording is missing",
        "lhotse",
        True,
    ),
    Kind(
        "manifest that is no gzip",
        put("cuts.jsonl.gz", "{}"),
        "line 1 cannot be read",
        "lhotse",
        True,
    ),
    # tar files
    Kind(
        "member that leads outside",
        tar(file("../../evil.wav", wav())),
        "a path inside the tar file",
        "tar",
    ),
    Kind(
        "member with an absolute path",
        tar(file("/evil.wav", wav())),
        "a path inside the tar file",
        "tar",
    ),
    Kind(
        "symbolic link in a tar",
        tar(special("a.wav", tarfile.SYMTYPE, "/etc/passwd")),
        "link or device",
        "tar",
    ),
    Kind(
        "hard link in a tar",
        tar(special("a.wav", tarfile.LNKTYPE, "sound.wav")),
        "link or device",
        "tar",
    ),
    Kind("device in a tar", tar(special("a.wav", tarfile.CHRTYPE)), "link or device", "tar"),
    Kind(
        "tar bomb", tar(file("a.wav", bytes(9_000_000))), "the rest of a.tar.gz was not read", "tar"
    ),
    Kind(
        "tar cut off in a member",
        tar(file("a.wav", wav(9)), name="a.tar", cut=60_000),
        "damaged",
        "tar",
    ),
    Kind(
        "tar cut off between members",
        tar(file("a.wav", wav()), name="a.tar", cut=512 + 32_256),
        "damaged",
        "tar",
    ),
    Kind(
        "gzip cut off",
        tar(file("a.wav", np.random.default_rng(1).bytes(90_000)), cut=60_000),
        "damaged",
        "tar",
    ),
    Kind("member without audio", tar(file("b.txt", b"word")), "no audio", "tar"),
    Kind(
        "member of broken JSON",
        tar(file("b.wav", wav()), file("b.json", b"{")),
        "transcript",
        "tar",
    ),
    Kind(
        "member of text in Latin-1",
        tar(file("b.wav", wav()), file("b.txt", b"caf\xe9")),
        "can't decode",
        "tar",
    ),
    Kind(
        "member of text of 1 MB",
        tar(file("b.wav", wav()), file("b.txt", b"a" * 10**6)),
        "1000000 bytes",
        "tar",
    ),
    Kind(
        "two recordings of one key",
        tar(file("u.1.wav", wav()), file("u.2.wav", wav())),
        "duplicate: beside u.1.wav",
        "tar",
    ),
    Kind(
        "two texts of one key",
        tar(file("u.1.txt", b"a"), file("u.wav", wav()), file("u.2.txt", b"b")),
        "duplicate: beside u.1.txt",
        "tar",
    ),
    Kind(
        "members of one key that are large together",
        tar(file("u.json", b" " * 5_000_000), file("u.wav", bytes(5_000_000))),
        "size: 10000000 bytes; must be at most 8000000 bytes of one key",
        "tar",
    ),
    Kind("member of damaged audio", tar(file("b.wav", b"RIFF")), "unreadable", "tar"),
    Kind(
        "member given twice",
        tar(file("x.txt", b""), file("sound.wav", wav())),
        "duplicate id",
        "tar",
    ),
    # Shar
    Kind(
        "recordings in another order",
        shar(("b.wav", "a.wav")),
        "must be in the same order",
        "shar",
        True,
    ),
    Kind(
        "recording that Lhotse left out",
        shar(("a.wav", "b.nodata")),
        "a recording in the tar file",
        "shar",
    ),
    # Hugging Face
    Kind(
        "cell of damaged audio",
        table(audio={"bytes": b"none", "path": "a.wav"}),
        "unreadable",
        "huggingface",
    ),
    Kind(
        "cell without audio",
        table(audio={"bytes": None, "path": None}),
        "bytes, or a path",
        "huggingface",
    ),
    Kind(
        "cell that leads outside",
        table(audio={"bytes": None, "path": "../a.wav"}),
        "bytes, or a path",
        "huggingface",
    ),
    Kind(
        "cell without a speaker", table(speaker=None), "one of the columns speaker", "huggingface"
    ),
    Kind(
        "cell of text of 1 MB",
        table(text="word " * 200_000),
        "at most 10000 letters",
        "huggingface",
    ),
    Kind("half a Parquet file", half_a_parquet, "damaged", "huggingface"),
    Kind("Parquet without audio", renamed_column, "audio must be in one of", "huggingface", True),
    # dialogues
    Kind("turn of damaged audio", talks(asked(audio="bad.wav")), "unreadable", "dialogues"),
    Kind(
        "turn that leads outside",
        talks(asked(audio="../a.wav")),
        "line 2: turns.0.audio names '../a.wav'",
        "dialogues",
        True,
    ),
    Kind(
        "turn of a lost file",
        talks(asked(audio="no.wav")),
        "must be an audio file inside",
        "dialogues",
        True,
    ),
    Kind(
        "turn of an unknown role",
        talks({"turns": [{"role": "god", "text": "a"}] * 2}),
        "role is 'god'",
        "dialogues",
        True,
    ),
    Kind(
        "turn of 1 MB",
        talks(asked(text="word " * 200_000)),
        "at most 10000 characters",
        "dialogues",
        True,
    ),
    Kind(
        "turn of no words",
        talks(asked(text="?!")),
        "must hold at least one word",
        "dialogues",
        True,
    ),
    Kind("unknown key", talks({"turn": []}), "key 'turn' must be one of turns", "dialogues", True),
    Kind("line that is no JSON", talks("{"), "line 2 is not JSON", "dialogues", True),
]
MORE: dict[str, dict[str, Any]] = {
    "folder": {"speaker": "ann"},
    "tar": {"speaker": "ann"},
    "dialogues": {"speaker": "ann", "assistant": "bot"},
}
OWN: dict[str, dict[str, Any]] = {
    "no transcript though declared": {"transcripts": "given"},
    "no folder that names the speaker": {"speaker": None, "speaker_folder": 1},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "raw").mkdir()
    (tmp_path / "data/corpus/audio").mkdir(parents=True)
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def collect(root: Path, kind: Kind) -> Path:
    values = {"kind": kind.kind, "name": "it", "path": "raw", "licence": "BSD", "consent": "yes"}
    values |= MORE.get(kind.kind, {}) | kind.more | OWN.get(kind.name, {})
    values = {k: v for k, v in values.items() if v is not None}
    source = validate_section({"source": values}, OneSource, "").source
    out = root / "data/corpus"
    write_corpus(out, Path("data/corpus"), [open_source(source, root, SHARES, out / "audio")])
    return out


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_bad_input_is_quarantined_or_refused(
    kind: Kind, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_members, "LARGEST_BYTES", 8_000_000)
    monkeypatch.setattr(tar_shards, "LARGEST_BYTES", 8_000_000)
    kind.make(root / "raw")
    if kind.refused:
        with pytest.raises(ValueError) as refused:
            collect(root, kind)
        assert kind.words in str(refused.value)
        assert str(root / "raw") in str(refused.value)
        assert not (root / "data/corpus/sources.json").exists()
        return
    corpus = collect(root, kind)
    rows = read_jsonl(corpus / "quarantine.jsonl")
    said = [f"{r['reason']}: {r['value']}; must be {r['allowed']}" for r in rows]
    assert any(kind.words in line for line in said), said
    assert all(r["source"] == "it" and r["item"] for r in rows)
    if kind.name not in OWN:
        assert next(open_corpus_cuts(corpus), None) is not None, "the sound item goes through"
    assert not (root / "run").exists() and not (root / "evil.wav").exists()


@pytest.mark.parametrize("how", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("name", ["BZ001.wav", "BZh9.wav", "sound.wav"])
def test_tar_file_is_read_whatever_its_first_member_is_called(
    tmp_path: Path, how: str, name: str
) -> None:
    with tarfile.open(tmp_path / "a.tar", how) as shard:
        file(name, b"abc")(shard)
    assert [m.name for m in tar_members.tar_members(tmp_path / "a.tar")] == [name]


def test_kinds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{len(KINDS)} kinds of bad input over sources")
    assert len({kind.name for kind in KINDS}) == len(KINDS)
