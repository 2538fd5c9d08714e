"""LibriSpeech as it is unpacked: SUBSET/SPEAKER/CHAPTER holds flac files and their transcript."""

from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.items import Split
from moss_speech.corpus.sources.files import split_named, walk
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import read_lines
from moss_speech.params.sources import LibriSpeech

ENDING = ".trans.txt"


def open_librispeech(source: LibriSpeech, intake: Intake) -> Opened:
    """The chapters below a folder; `ValueError` if there is none, or not the wanted subsets."""
    found = next(_chapters(source, intake.path), None)
    if found is None:
        of = "" if source.subsets is None else f" of {', '.join(source.subsets)}"
        raise ValueError(f"{intake.path} holds no SUBSET/SPEAKER/CHAPTER/*{ENDING}{of}")
    return Opened(_items(source, intake))


def _chapters(source: LibriSpeech, path: Path) -> Iterator[tuple[Path, list[str]]]:
    for place, names in walk(path):
        subset = place.parent.parent.name
        wanted = source.subsets is None or subset in source.subsets
        if wanted and any(name.endswith(ENDING) for name in names):
            yield place, names


def _items(source: LibriSpeech, intake: Intake) -> Iterator[Item | Quarantined]:
    for place, names in _chapters(source, intake.path):
        words = _transcripts(place, names)
        audio = {name.removesuffix(".flac") for name in names if name.endswith(".flac")}
        speaker = intake.speaker(place.parent.name)
        split: Split = intake.split(speaker, split_named(place.parent.parent.name))
        for name in sorted(words.keys() | audio):
            facts = Facts(name, words.get(name), speaker, split, split, source.language or "en")
            yield intake.file(facts, place / f"{name}.flac")


def _transcripts(place: Path, names: list[str]) -> dict[str, str]:
    words: dict[str, str] = {}
    chapter = f"{place.parent.name}-{place.name}-"
    for table in (place / name for name in names if name.endswith(ENDING)):
        for where, line in read_lines(table):
            name, _, text = line.partition(" ")
            if not name.startswith(chapter) or name in words:
                why = "is there twice" if name in words else f"must begin with {chapter}"
                raise ValueError(f"{where}: the id is {name!r:.80}, {why}")
            words[name] = text
    return words
