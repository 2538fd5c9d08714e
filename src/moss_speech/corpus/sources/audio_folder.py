"""A folder of one's own recordings: WAV or FLAC, with transcripts, perhaps with dialogues.

`NAME.txt` beside `NAME.wav`, or `metadata.csv` with the columns `file,text`, gives the words; what
has neither is written down by the cleaning recogniser. Rows of `dialogues.jsonl` name files:
`{"turns": [{"role": "user", "audio": "q1.wav"}, {"role": "assistant", "text": "it is green"}]}`.
Pauses before and after the speech are cut. Shapes: S samples.
"""

import csv
import re
import shutil
from pathlib import Path
from typing import Any

from moss_speech.audio import LISTENING, SPEAKING, Samples, read_audio, resample, write_audio
from moss_speech.corpus.items import Dialogue, Role, Turn
from moss_speech.corpus.sources.manifests import Collected, Item, Source
from moss_speech.params.corpus import Folder
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.text import normalise
from moss_speech.speech.vad import speech_spans
from moss_speech.storage import read_jsonl

ENDINGS = (".wav", ".flac")
PAUSE_S = 0.15
"""What is left of the silence before and after the speech."""
ROLES: dict[str, Role] = {"user": "question", "assistant": "answer"}


def collect_folder(folder: Folder, root: Path, audio: Path) -> Collected:
    """Copy a folder's recordings into `audio`; damaged files go along for cleaning to reject.

    Raises `ValueError` naming the folder if it is missing or holds no WAV or FLAC, or the row of
    dialogues.jsonl or metadata.csv that names a file it does not have.
    """
    path = root / folder.path
    files = sorted(p for p in path.glob("*") if p.suffix.lower() in ENDINGS)
    if not files:
        raise ValueError(f"folder {path} holds no {' or '.join(ENDINGS)} file")
    turns = _dialogue_rows(path, {p.name for p in files})
    roles = {t["audio"]: ROLES[t["role"]] for row in turns for t in row if "audio" in t}
    texts = _transcripts(path, files)
    items = {f.name: _import(f, texts.get(f.name), roles, folder, audio) for f in files}
    dialogues = [_dialogue(f"{_slug(path.name)}-{n:03d}", r, items) for n, r in enumerate(turns)]
    source = Source(path.name, folder.licence, folder.consent, False, {"files": len(items)})
    return Collected(source, list(items.values()), dialogues)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _transcripts(path: Path, files: list[Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    table = path / "metadata.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            if not {"file", "text"} <= set(rows.fieldnames or ()):
                raise ValueError(f"{table} has the columns {rows.fieldnames}, must have file,text")
            texts = {row["file"]: row["text"] or "" for row in rows}
        if unknown := sorted(set(texts) - {p.name for p in files}):
            raise ValueError(f"{table} names {unknown[0]!r}, which is not in the folder")
    for file in files:
        if (beside := file.with_suffix(".txt")).is_file():
            texts[file.name] = beside.read_text(encoding="utf-8")
    return texts


def _dialogue_rows(path: Path, names: set[str]) -> list[list[dict[str, Any]]]:
    if not (table := path / "dialogues.jsonl").is_file():
        return []
    rows: list[list[dict[str, Any]]] = [row["turns"] for row in read_jsonl(table)]
    for number, turns in enumerate(rows, 1):
        for turn in turns:
            _check_turn(turn, names, f"{table} line {number}")
    return rows


def _check_turn(turn: dict[str, Any], names: set[str], where: str) -> None:
    role, audio = turn.get("role"), turn.get("audio")
    if role not in ROLES:
        raise ValueError(f"{where}: role is {role!r}, must be user or assistant")
    if "text" not in turn and audio not in names:
        raise ValueError(f"{where}: audio is {audio!r}, must be a file of the folder")


def _import(
    file: Path, text: str | None, roles: dict[str, Role], folder: Folder, audio: Path
) -> Item:
    item_id = f"{_slug(file.parent.name)}-{_slug(file.stem)}"
    target = audio / f"{item_id}{file.suffix.lower()}"
    tags = {"transcript": "given", "synthesizer": "person"}
    n_samples = 1
    try:
        samples_S = _trimmed(read_audio(file, SPEAKING.sample_rate_hz))
    except ValueError:
        shutil.copyfile(file, target)
    else:
        target = target.with_suffix(".flac")
        write_audio(target, samples_S, SPEAKING.sample_rate_hz)
        n_samples = len(samples_S)
        if text is None:
            text, tags["transcript"] = _written_down(samples_S), "recognised"
    return Item(
        id=item_id,
        file=target.name,
        n_samples=n_samples,
        sample_rate_hz=SPEAKING.sample_rate_hz,
        text=normalise(text or ""),
        speaker=folder.speaker,
        role=roles.get(file.name, "recording"),
        voice_split=folder.split,
        text_split=folder.split,
        tags=tags,
    )


def _listening(samples_S: Samples) -> Samples:
    return resample(samples_S, SPEAKING.sample_rate_hz, LISTENING.sample_rate_hz)


def _trimmed(samples_S: Samples) -> Samples:
    """Without long pauses at both ends; unchanged where no speech is found."""
    spans = speech_spans(_listening(samples_S))
    if not spans:
        return samples_S
    rate_hz = SPEAKING.sample_rate_hz
    first = max(0, int((spans[0].start_s - PAUSE_S) * rate_hz))
    return samples_S[first : int((spans[-1].end_s + PAUSE_S) * rate_hz)]


def _written_down(samples_S: Samples) -> str:
    return Whisper("whisper-tiny.en").transcribe([_listening(samples_S)])[0]


def _dialogue(item_id: str, turns: list[dict[str, Any]], items: dict[str, Item]) -> Dialogue:
    said = []
    for turn in turns:
        item = items.get(turn.get("audio", ""))
        text = normalise(turn["text"]) if "text" in turn else items[turn["audio"]].text
        said.append(Turn(turn["role"], text, () if item is None else (item.id,)))
    split = next(iter(items.values())).text_split
    tags = {"fact": item_id, "wording": "0", "category": "recording", "taught": "speech"}
    return Dialogue(item_id, split, tuple(said), tags)
