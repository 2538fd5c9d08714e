"""Which data an answer came from: the training texts that are nearest to it, with their owners."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Indel

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import ancestors, datasets_of, runs_of
from moss_speech.catalogue.models import find_version
from moss_speech.corpus.items import Utterance, open_dialogues, open_utterances
from moss_speech.speech.text import normalise
from moss_speech.storage import read_json, tree_digest


@dataclass(frozen=True)
class Question:
    """A version and the words of its answer."""

    version: int
    text: str


@dataclass(frozen=True)
class Near:
    """A training text and who said it; `likeness` 0..1 counts letters in the same order."""

    likeness: float
    text: str
    items: tuple[str, ...]
    """Utterances that speak it, and `dialogue ID` for turns that are only written."""
    speakers: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Data that a version was made of, and those training texts that are here and nearest."""

    datasets: tuple[str, ...]
    """Its own and its ancestors'."""
    commits: tuple[str, ...]
    """Of the code that made the data, to check them out by."""
    searched: bool
    """Whether the clean folder of the project is one of those datasets."""
    nearest: tuple[Near, ...]


def recorded_answer(root: Path, response: str) -> Question:
    """The question of a recorded answer (`MOSS_RECORD`) by its id, such as `resp_…`.

    `ValueError` if it is not recorded, or was spoken: then its words are nowhere.
    """
    for path in (root / "recordings").glob("*/*/turn.json"):
        turn = read_json(path)
        if turn.get("ids", {}).get("response") != response:
            continue
        version, said = turn["model"]["version"], turn.get("said") or {}
        if not str(version).isdigit():
            raise ValueError(f"{path}: answered by {version!r}, which is no registered version")
        if "text" not in said:
            heard = path.parent / str(said.get("file", "said.flac"))
            raise ValueError(f"{response} was spoken: listen to {heard}, then ask with --text")
        return Question(int(version), said["text"])
    raise ValueError(f"no recorded answer {response!r} below {root / 'recordings'}")


def answer_origin(question: Question, clean: Path, n_nearest: int) -> Origin:
    """Find the data of a version and, if they are at `clean`, the texts nearest to its answer."""
    with catalogue() as session:
        find_version(session, question.version)
        family = [*ancestors(session, question.version), question.version]
        datasets = {d.digest for number in family for d in datasets_of(session, number)}
        commits = {
            run.commit
            for number in family
            for run in runs_of(session, number)
            if run.stage == "clean" and run.commit
        }
    is_here = clean.is_dir() and tree_digest(clean) in datasets
    nearest = _nearest(clean, question.text, n_nearest) if is_here else []
    return Origin(tuple(sorted(datasets)), tuple(sorted(commits)), is_here, tuple(nearest))


def _nearest(clean: Path, text: str, n_nearest: int) -> list[Near]:
    utterances = open_utterances(clean)
    groups: dict[str, list[tuple[str, Utterance | None]]] = {}
    for words, item, utterance in _taught(clean, utterances):
        groups.setdefault(normalise(words), []).append((item, utterance))
    wanted = normalise(text)
    scored = ((Indel.normalized_similarity(wanted, words), words) for words in groups)
    return [
        _near(score, words, groups[words]) for score, words in heapq.nlargest(n_nearest, scored)
    ]


def _taught(
    clean: Path, utterances: dict[str, Utterance]
) -> Iterator[tuple[str, str, Utterance | None]]:
    for u in utterances.values():
        if u.for_training:
            yield u.text, u.id, u
    for dialogue in open_dialogues(clean):
        for turn in dialogue.turns if dialogue.split == "train" else ():
            if not turn.utterances:
                yield turn.text, f"dialogue {dialogue.id}", None


def _near(likeness: float, words: str, items: list[tuple[str, Utterance | None]]) -> Near:
    spoken = [u for _, u in items if u is not None]
    return Near(
        round(likeness, 3),
        words,
        tuple(sorted({item for item, _ in items})),
        tuple(sorted({u.speaker for u in spoken})),
        tuple(sorted({u.tags["source"] for u in spoken if "source" in u.tags})),
    )
