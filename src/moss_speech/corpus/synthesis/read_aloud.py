"""Texts as passages of which some sentences are to be spoken."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from moss_speech.corpus.passages import Passage, Piece
from moss_speech.corpus.sources.lines import Line
from moss_speech.corpus.synthesis.lines import line, one_of, random_of
from moss_speech.corpus.synthesis.rows import Dropped, Row
from moss_speech.corpus.synthesis.speakable import sentences, speakable
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.params.synthesis import Texts
from moss_speech.speech.personal import personal_tag
from moss_speech.speech.text import normalise

MAX_SPOKEN_WORDS = 40
"""Longer sentences stay typed: synthesisers and recognisers lose themselves in them."""


@dataclass(frozen=True)
class Planned:
    """A passage and the lines that it needs."""

    passage: Passage
    lines: tuple[Line, ...]


def text_of(row: Row, p: Texts) -> str | Dropped:
    """The text of a row that is good enough."""
    if isinstance(row.value, str):
        return row.value
    if not isinstance(row.value, dict) or not isinstance(row.value.get(p.text_column), str):
        return Dropped(row.where, "format", str(row.value)[:40], f"text in {p.text_column!r}")
    if p.quality_column is not None:
        quality = row.value.get(p.quality_column)
        if not isinstance(quality, int | float) or not quality >= p.min_quality:
            return Dropped(row.where, "quality", str(quality)[:40], f">= {p.min_quality:g}")
    text: str = row.value[p.text_column]
    return text


def passages_of(row: Row, text: str, p: Texts, seed: int) -> Iterator[Planned | Dropped]:
    """A text in passages of whole sentences, each in one voice."""
    parts = [part for part in sentences(" ".join(text.split())) if normalise(part)]
    if not parts:
        yield Dropped(row.where, "empty", "no words", "at least one word")
    for number, group in enumerate(_grouped(parts, p.passage_words)):
        yield _planned(f"{p.name}-{row.number:07d}-{number:03d}", group, p, seed)


def _grouped(parts: list[str], max_words: int) -> Iterator[list[str]]:
    group: list[str] = []
    words = 0
    for part in parts:
        n_words = len(normalise(part).split())
        if group and words + n_words > max_words:
            yield group
            group, words = [], 0
        group.append(part)
        words += n_words
    if group:
        yield group


def _planned(id_: str, parts: list[str], p: Texts, seed: int) -> Planned:
    random = random_of(seed, id_)
    voice, pieces, lines = one_of(p.voices, random), [], []
    for number, part in enumerate(parts):
        wanted = random.random() < p.spoken_share
        spoken = _spoken(part, p.language) if wanted else None
        if spoken is None:
            pieces.append(Piece(part))
            continue
        one = line(f"{id_}-{number:03d}", spoken, voice, "recording", p, random)
        lines.append(replace(one, tags=one.tags | personal_tag(part)))
        pieces.append(Piece(part, lines[-1].id))
    passage = Passage(id_, "train", p.language, p.name, tuple(pieces))
    return Planned(passage, tuple(lines))


def _spoken(sentence: str, language: str) -> str | None:
    """What a synthesiser is to say; None: the sentence stays typed."""
    try:
        said = speakable(sentence, language)
    except UnspeakableError:
        return None
    return said if len(normalise(said).split()) <= MAX_SPOKEN_WORDS else None
