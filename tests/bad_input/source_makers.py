"""Damaged and hostile sources on disk, beside something sound."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile

RATE_HZ = 16_000


def tone(seconds: float = 1.0) -> np.ndarray:
    return (0.2 * np.sin(np.arange(int(seconds * RATE_HZ)) / 9)).astype(np.float32)


def wav(seconds: float = 1.0) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, tone(seconds), RATE_HZ, format="WAV")
    return stream.getvalue()


def put(name: str, content: bytes | str) -> Callable[[Path], None]:
    """A file of that name beside a sound recording of a folder."""

    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        data = content.encode() if isinstance(content, str) else content
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return make


def heard(name: str, samples: np.ndarray, rate_hz: int = RATE_HZ, **how: Any) -> Any:
    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        soundfile.write(root / name, samples, rate_hz, **how)

    return make


def worded(content: bytes) -> Callable[[Path], None]:
    """A recording whose transcript in a file of its own is damaged."""

    def make(root: Path) -> None:
        put("a.wav", wav())(root)
        (root / "a.txt").write_bytes(content)

    return make


def link(to: str, name: str = "a.wav") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        (root / name).symlink_to(to)

    return make


def pipe(name: str) -> Callable[[Path], None]:
    """A pipe that nobody writes to."""

    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        os.mkfifo(root / name)

    return make


def both(*makes: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for each in makes:
            each(root)

    return make


def outside(to: str, name: str, table: str = "", rows: str = "") -> Callable[[Path], None]:
    """A link to something private beside the source, and perhaps a table that names it."""

    def make(root: Path) -> None:
        private = root.parent / "private"
        private.mkdir()
        (private / "out.wav").write_bytes(wav())
        (private / "out.txt").write_text("a secret")
        (root / "sound.wav").write_bytes(wav())
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(private / to)
        if table:
            (root / table).write_text(rows)

    return make


def zipped(root: Path) -> None:
    """A zip bomb with the name of a recording."""
    with zipfile.ZipFile(root / "a.wav", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(50_000_000))
    (root / "sound.wav").write_bytes(wav())


def folder_loop(root: Path) -> None:
    (root / "sound.wav").write_bytes(wav())
    (root / "deep").mkdir()
    (root / "deep" / "back").symlink_to(root, target_is_directory=True)
    (root / "deep" / "bad.wav").write_bytes(b"")


def misnamed(root: Path) -> None:
    (root / "sound.wav").write_bytes(wav())
    (root / os.fsdecode(b"caf\xff.wav")).write_bytes(wav())


def same_id(root: Path) -> None:
    for name in ("a b.wav", "a_b.wav"):
        (root / name).write_bytes(wav())


def cv(*rows: str, head: str = "client_id\tpath\tsentence\tlocale") -> Callable[[Path], None]:
    """A Common Voice of a sound row and others; its table is train.tsv."""

    def make(root: Path) -> None:
        (root / "clips").mkdir()
        (root / "clips" / "sound.mp3").write_bytes(wav())
        lines = [head, "ann\tsound.mp3\ta word\ten", *rows]
        (root / "train.tsv").write_text("\n".join(lines) + "\n")

    return make


def lhotse(**wrong: Any) -> Callable[[Path], None]:
    """A sound supervision and one whose values are wrong; `recording__X` goes to the recording."""

    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        source = {"type": "file", "channels": [0], "source": "sound.wav"}
        sound = {"id": "r", "sources": [source], "duration": 1.0}
        said = {"recording_id": "r", "start": 0.0, "duration": 1.0, "channel": 0}
        said |= {"text": "a word", "speaker": "ann"}
        of_recording = {
            k.removeprefix("recording__"): v for k, v in wrong.items() if "recording__" in k
        }
        other = sound | {"id": "q"} | of_recording
        bad = said | {"id": "bad", "recording_id": "q"}
        bad |= {k: v for k, v in wrong.items() if "recording__" not in k}
        _write_rows(root / "recordings.jsonl.gz", [sound, other])
        _write_rows(root / "supervisions.jsonl.gz", [said | {"id": "good"}, bad])

    return make


def _write_rows(path: Path, rows: list[Any]) -> None:
    with gzip.open(path, "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def lines_of_cuts(*rows: Any) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "cuts.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    return make


Add = Callable[[tarfile.TarFile], None]


def tar(*added: Add, name: str = "a.tar.gz", cut: int | None = None) -> Callable[[Path], None]:
    """A tar file of a sound recording, then something else."""

    def make(root: Path) -> None:
        with tarfile.open(root / name, "w:gz" if name.endswith("gz") else "w") as shard:
            file("sound.wav", wav())(shard)
            for add in added:
                add(shard)
        if cut is not None:
            content = (root / name).read_bytes()
            (root / name).write_bytes(content[:cut])

    return make


def file(name: str, content: bytes) -> Add:
    def add(shard: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        shard.addfile(member, io.BytesIO(content))

    return add


def special(name: str, kind: bytes, to: str = "") -> Add:
    def add(shard: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, to
        shard.addfile(member)

    return add


def table(**columns: Any) -> Callable[[Path], None]:
    """A Parquet file of a sound row and one that is wrong in the named columns."""

    def make(root: Path) -> None:
        sound = {"bytes": wav(), "path": "sound.wav"}
        rows = {"audio": [sound, sound], "text": ["a word", "words"], "speaker": ["ann", "ann"]}
        for name, value in columns.items():
            rows[name][1] = value
        pyarrow.parquet.write_table(pyarrow.table(rows), root / "train.parquet")

    return make


def half_a_parquet(root: Path) -> None:
    table()(root)
    content = (root / "train.parquet").read_bytes()
    (root / "test.parquet").write_bytes(content[: len(content) // 2])


def renamed_column(root: Path) -> None:
    rows = {"sound": [{"bytes": wav(), "path": ""}], "text": ["a"], "speaker": ["ann"]}
    pyarrow.parquet.write_table(pyarrow.table(rows), root / "train.parquet")


def libri(lines: bytes, extra: str | None = None) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        chapter = root / "train-clean-100" / "19" / "7"
        chapter.mkdir(parents=True)
        soundfile.write(chapter / "19-7-0000.flac", tone(), RATE_HZ)
        if extra is not None:
            (chapter / extra).write_bytes(b"")
        (chapter / "19-7.trans.txt").write_bytes(b"19-7-0000 A WORD\n" + lines)

    return make


def aishell(line: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "wav" / "train" / "S1").mkdir(parents=True)
        (root / "wav" / "train" / "S1" / "B1.wav").write_bytes(wav())
        (root / "aishell_transcript_v0.8.txt").write_text(f"B1 好\n{line}\n")

    return make


def talks(row: Any) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "sound.wav").write_bytes(wav())
        (root / "bad.wav").write_bytes(b"no audio")
        ask = {"role": "user", "audio": "sound.wav", "text": "a word"}
        sound = {"turns": [ask, {"role": "assistant", "text": "i see"}]}
        lines = [json.dumps(sound), row if isinstance(row, str) else json.dumps(row)]
        (root / "dialogues.jsonl").write_text("\n".join(lines))

    return make


def asked(**user: Any) -> dict[str, Any]:
    return {"turns": [{"role": "user", **user}, {"role": "assistant", "text": "i see"}]}


def shar(order: tuple[str, str]) -> Callable[[Path], None]:
    """Shards whose recordings lie in another order, or not at all."""

    def make(root: Path) -> None:
        recording = {"id": "r", "sources": [{"type": "shar", "channels": [0], "source": ""}]}
        recording |= {"duration": 1.0}
        said = {"id": "s", "recording_id": "r", "start": 0, "duration": 1.0, "speaker": "ann"}
        said |= {"text": "a word"}
        cut = {"type": "MonoCut", "start": 0, "duration": 1.0, "channel": 0, "recording": recording}
        rows = [cut | {"id": i, "supervisions": [said | {"id": f"s{i}"}]} for i in "ab"]
        _write_rows(root / "cuts.000000.jsonl.gz", rows)
        with tarfile.open(root / "recording.000000.tar", "w") as shard:
            for name in order:
                file(name, wav() if name.endswith("wav") else b"")(shard)

    return make
