"""A folder of one's own recordings: WAV or FLAC, with transcripts, perhaps with dialogues.

Files are named by their path inside the folder. `NAME.txt` beside `NAME.wav`, or `metadata.csv`
with the columns `file,text`, gives the words; what has neither is written down by the cleaning
recogniser. `dialogues.jsonl` says which recordings answer which (`dialogue_rows`).
Pauses before and after the speech are cut. Shapes: S samples.
"""

import csv
import re
import shutil
from pathlib import Path

from moss_speech.audio import LISTENING, SPEAKING, Samples, read_audio, resample, write_audio
from moss_speech.corpus.items import Dialogue, Role, Turn
from moss_speech.corpus.sources.dialogue_rows import DialogueRow, read_dialogue_rows
from moss_speech.corpus.sources.manifests import Collected, Item, Source
from moss_speech.params.corpus import Folder
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.text import normalise
from moss_speech.speech.vad import speech_spans

ENDINGS = (".wav", ".flac")
PAUSE_S = 0.15
"""What is left of the silence before and after the speech."""
ROLES: dict[str, Role] = {"user": "question", "assistant": "answer"}


def collect_folder(folder: Folder, root: Path, audio: Path) -> Collected:
    """Copy a folder's recordings into `audio`; damaged files go along for cleaning to reject.

    Raises `ValueError` naming the folder if it is missing or holds neither WAV, FLAC nor
    dialogues, or the row of dialogues.jsonl or metadata.csv that is wrong, before audio is read.
    """
    path = root / folder.path
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS)
    files = {p.relative_to(path).as_posix(): p for p in found}
    rows = read_dialogue_rows(path / "dialogues.jsonl", files.keys())
    if not files and not rows:
        raise ValueError(f"folder {path} holds no {' or '.join(ENDINGS)} file")
    roles = {t.audio: ROLES[t.role] for row in rows for t in row.turns if t.audio is not None}
    texts = _transcripts(path, files)
    items = {
        name: _import(name, file, texts.get(name), roles.get(name, "recording"), folder, audio)
        for name, file in files.items()
    }
    first_id = f"{_slug(path.name)}-"
    dialogues = [_dialogue(f"{first_id}{n:03d}", r, items, folder) for n, r in enumerate(rows)]
    source = Source(path.name, folder.licence, folder.consent, False, {"files": len(items)})
    return Collected(source, list(items.values()), dialogues)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _transcripts(path: Path, files: dict[str, Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    table = path / "metadata.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            if not {"file", "text"} <= set(rows.fieldnames or ()):
                raise ValueError(f"{table} has the columns {rows.fieldnames}, must have file,text")
            texts = {row["file"]: row["text"] or "" for row in rows}
        if unknown := sorted(texts.keys() - files.keys()):
            raise ValueError(f"{table} names {unknown[0]!r}, which is not in the folder")
    for name, file in files.items():
        if (beside := file.with_suffix(".txt")).is_file():
            texts[name] = beside.read_text(encoding="utf-8")
    return texts


def _import(
    name: str, file: Path, text: str | None, role: Role, folder: Folder, audio: Path
) -> Item:
    item_id = f"{_slug(Path(folder.path).name)}-{_slug(name.removesuffix(file.suffix))}"
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
        role=role,
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


def _dialogue(item_id: str, row: DialogueRow, items: dict[str, Item], folder: Folder) -> Dialogue:
    said = []
    for turn in row.turns:
        spoken = [items[turn.audio]] if turn.audio is not None else []
        text = spoken[0].text if turn.text is None else normalise(turn.text)
        said.append(Turn(turn.role, text, tuple(item.id for item in spoken)))
    tags = {"fact": item_id, "wording": "0", "category": "recording", "taught": "speech"}
    return Dialogue(item_id, folder.split, tuple(said), tags)
