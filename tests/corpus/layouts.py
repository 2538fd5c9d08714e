"""The same real recordings in the layout of every kind of source."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import soundfile
from lhotse import CutSet, MonoCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.shar import SharWriter

from moss_speech.corpus.sources.human import FOLDER

CARDS = FOLDER / "cards"


@dataclass(frozen=True)
class Clip:
    """A recording as its layouts hold it."""

    name: str
    file: Path
    text: str
    speaker: str
    split: str


def clips() -> list[Clip]:
    """Five human recordings by two made-up speakers."""
    lines = (CARDS / "cards.transcription").read_text().splitlines()
    texts = [line.partition("<s>")[2].partition("</s>")[0].strip() for line in lines]
    who = [("19", "train"), ("19", "train"), ("19", "train"), ("26", "test"), ("26", "test")]
    return [
        Clip(f"{n + 1:03d}", CARDS / f"{n + 1:03d}.wav", text, *who[n])
        for n, text in enumerate(texts)
    ]


def _convert(clip: Clip, target: Path, **how: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    samples, rate_hz = soundfile.read(clip.file, dtype="int16")
    soundfile.write(target, samples, rate_hz, **how)


def folder(root: Path) -> None:
    """Folders by speaker, texts beside the recordings."""
    for clip in clips():
        _convert(clip, root / clip.speaker / f"{clip.name}.flac")
        (root / clip.speaker / f"{clip.name}.txt").write_text(clip.text)


def librispeech(root: Path) -> None:
    """As LibriSpeech is unpacked."""
    for clip in clips():
        chapter = root / "LibriSpeech" / f"{clip.split}-clean" / clip.speaker / "7"
        name = f"{clip.speaker}-7-{clip.name}"
        _convert(clip, chapter / f"{name}.flac")
        with (chapter / f"{clip.speaker}-7.trans.txt").open("a") as lines:
            lines.write(f"{name} {clip.text.upper()}\n")


def aishell1(root: Path) -> None:
    """As AISHELL-1 is unpacked."""
    (root / "transcript").mkdir(parents=True)
    with (root / "transcript" / "aishell_transcript_v0.8.txt").open("w") as lines:
        for clip in clips():
            wav = root / "wav" / clip.split / f"S{clip.speaker}" / f"B{clip.name}.wav"
            wav.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip.file, wav)
            lines.write(f"B{clip.name} {clip.text}\n")


def common_voice(root: Path) -> None:
    """As a language of Common Voice is unpacked."""
    head = "client_id\tpath\tsentence\tlocale\n"
    for clip in clips():
        _convert(clip, root / "clips" / f"{clip.name}.mp3", format="MP3")
        table = root / f"{clip.split}.tsv"
        with table.open("a") as lines:
            lines.write(head if lines.tell() == 0 else "")
            lines.write(f"{clip.speaker}\t{clip.name}.mp3\t{clip.text}\ten\n")


def _recording(clip: Clip) -> Recording:
    return Recording.from_file(clip.file, recording_id=clip.name)


def _supervision(clip: Clip, duration_s: float) -> SupervisionSegment:
    return SupervisionSegment(
        clip.name, clip.name, 0.0, duration_s, text=clip.text, speaker=clip.speaker, language="en"
    )


def lhotse(root: Path) -> None:
    """Recordings and supervisions in two pairs of manifests."""
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        some = [clip for clip in clips() if clip.split == split]
        recordings = [_recording(clip) for clip in some]
        spoken = [_supervision(c, r.duration) for c, r in zip(some, recordings, strict=True)]
        RecordingSet.from_recordings(recordings).to_file(root / f"recordings_{split}.jsonl.gz")
        SupervisionSet.from_segments(spoken).to_file(root / f"supervisions_{split}.jsonl.gz")


def _cut(clip: Clip) -> MonoCut:
    recording = _recording(clip)
    spoken = _supervision(clip, recording.duration)
    return MonoCut(clip.name, 0.0, recording.duration, 0, [spoken], recording=recording)


def cuts(root: Path) -> None:
    """One manifest of cuts a split."""
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        some = CutSet.from_cuts(_cut(clip) for clip in clips() if clip.split == split)
        some.to_file(root / f"cuts_{split}.jsonl")


def shar(root: Path) -> None:
    """Lhotse's own shards."""
    for split in ("train", "test"):
        (root / split).mkdir(parents=True, exist_ok=True)
        with SharWriter(str(root / split), fields={"recording": "flac"}, shard_size=2) as writer:
            for clip in clips():
                if clip.split == split:
                    writer.write(_cut(clip))


def tar(root: Path) -> None:
    """WebDataset's layout, compressed."""
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        with tarfile.open(root / f"{split}-000.tar.gz", "w:gz") as shard:
            for clip in clips():
                if clip.split == split:
                    said = json.dumps({"text": clip.text, "speaker": clip.speaker}).encode()
                    add(shard, f"{clip.name}.wav", clip.file.read_bytes())
                    add(shard, f"{clip.name}.json", said)


def add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar file."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


def _rows(split: str) -> pyarrow.Table:
    some = [clip for clip in clips() if clip.split == split]
    audio = [{"bytes": clip.file.read_bytes(), "path": f"{clip.name}.wav"} for clip in some]
    texts, speakers = [clip.text for clip in some], [int(clip.speaker) for clip in some]
    return pyarrow.table({"audio": audio, "sentence": texts, "speaker_id": speakers})


def parquet(root: Path) -> None:
    """As the hub stores a data set."""
    (root / "data").mkdir(parents=True)
    for split in ("train", "test"):
        file = root / "data" / f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(_rows(split), file)


def arrow(root: Path) -> None:
    """As `save_to_disk` stores a data set."""
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        table = _rows(split)
        file = root / split / "data-00000-of-00001.arrow"
        with pyarrow.ipc.new_stream(str(file), table.schema) as stream:
            stream.write_table(table)
        (root / split / "dataset_info.json").write_text("{}")


def audio_folder(root: Path) -> None:
    """Hugging Face's audio folder."""
    for clip in clips():
        _convert(clip, root / clip.split / f"{clip.name}.wav")
        row = {"file_name": f"{clip.name}.wav", "transcription": clip.text}
        with (root / clip.split / "metadata.jsonl").open("a") as lines:
            lines.write(json.dumps(row | {"speaker_id": clip.speaker}) + os.linesep)


def dialogues(root: Path) -> None:
    """Each recording asked, the answer typed."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "talks.jsonl").open("w") as lines:
        for clip in clips():
            _convert(clip, root / "clips" / f"{clip.name}.ogg", format="OGG", subtype="VORBIS")
            asked = {"role": "user", "audio": f"clips/{clip.name}.ogg", "text": clip.text}
            turns = [asked | {"speaker": clip.speaker}, {"role": "assistant", "text": "i see"}]
            lines.write(json.dumps({"turns": turns}) + "\n")


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "folder": ("folder", folder),
    "librispeech": ("librispeech", librispeech),
    "aishell1": ("aishell1", aishell1),
    "common_voice": ("common_voice", common_voice),
    "lhotse": ("lhotse", lhotse),
    "cuts": ("lhotse", cuts),
    "shar": ("shar", shar),
    "tar": ("tar", tar),
    "parquet": ("huggingface", parquet),
    "arrow": ("huggingface", arrow),
    "audio_folder": ("huggingface", audio_folder),
    "dialogues": ("dialogues", dialogues),
}
"""Layouts by name: the kind of source and how it is written."""
