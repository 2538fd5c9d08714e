"""AISHELL-1 as it is unpacked: wav/SPLIT/SPEAKER/ID.wav, and one transcript of all."""

from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.sources.files import audio_files, split_named
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import read_lines
from moss_speech.params.sources import Aishell1

TRANSCRIPT = "aishell_transcript*.txt"


def open_aishell1(source: Aishell1, intake: Intake) -> Opened:
    """The recordings below a folder; `ValueError` without transcript or unpacked recordings."""
    tables = sorted(intake.path.rglob(TRANSCRIPT))
    if not tables:
        raise ValueError(f"{intake.path} holds no {TRANSCRIPT}, must be an unpacked AISHELL-1")
    if next(audio_files(intake.path), None) is None:
        raise ValueError(f"{intake.path} holds no wav file: unpack the archives in wav/ first")
    return Opened(_items(source, intake, _transcripts(tables[0])))


def _transcripts(table: Path) -> dict[str, str]:
    """Words by id; spaces between Chinese words are not spoken and go."""
    words: dict[str, str] = {}
    for where, line in read_lines(table):
        if not line.strip():
            continue
        name, *text = line.split()
        if not text or name in words:
            why = "is there twice" if name in words else "has no words"
            raise ValueError(f"{where}: id {name!r:.80} {why}, must be an id and its words")
        words[name] = "".join(text)
    return words


def _items(source: Aishell1, intake: Intake, words: dict[str, str]) -> Iterator[Item | Quarantined]:
    for found in audio_files(intake.path):
        if isinstance(found, Quarantined):
            yield found
            continue
        speaker = intake.speaker(found.parent.name)
        split = intake.split(speaker, split_named(found.parent.parent.name))
        text = words.get(found.stem)
        facts = Facts(found.stem, text, speaker, split, split, source.language or "zh")
        yield intake.file(facts, found)
