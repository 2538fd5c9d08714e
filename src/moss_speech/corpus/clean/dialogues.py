"""Dialogues and passages after cleaning: kept utterances only, words where there were none.

What may not be said may not stand there typed either: nothing personal, nothing that leaks.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from moss_speech.corpus.clean.leaks import Leaks
from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.clean.words import check_personal, check_tag
from moss_speech.corpus.items import Dialogue, Split, Turn
from moss_speech.corpus.passages import Passage
from moss_speech.params.clean import Clean


@dataclass(frozen=True)
class Screen:
    """What speaks against typed words."""

    p: Clean
    leaks: Leaks
    unsaid: Mapping[str, Reject]
    """Rows of utterances that were rejected for their words: those stay away as text too."""


def spoken_ids(dialogues: Iterable[Dialogue], passages: Iterable[Passage]) -> set[str]:
    """Ids of all utterances that belong to a dialogue or a passage."""
    said = {id_ for d in dialogues for turn in d.turns for id_ in turn.utterances}
    return said | {piece.utterance for p in passages for piece in p.pieces if piece.utterance}


def typed(
    dialogues: Iterable[Dialogue], passages: Iterable[Passage]
) -> Iterator[tuple[str, Split]]:
    """Typed words that may not leak, and their split: what users ask, sentences of passages."""
    for dialogue in dialogues:
        yield from ((t.text, dialogue.split) for t in dialogue.turns if t.role == "user")
    for passage in passages:
        yield from ((piece.text, passage.split) for piece in passage.pieces)


def clean_dialogues(
    dialogues: Iterable[Dialogue], said: Mapping[str, str], screen: Screen
) -> tuple[list[Dialogue], list[Reject]]:
    """Kept dialogues and rows for the others; `said` has the words of every kept utterance."""
    kept: list[Dialogue] = []
    rejects: list[Reject] = []
    for dialogue in dialogues:
        final = replace(dialogue, turns=tuple(_turn(turn, said) for turn in dialogue.turns))
        if (reject := _check(dialogue, final, screen)) is None:
            kept.append(final)
        else:
            rejects.append(replace(reject, source=dialogue.tags.get("source", "")))
    return kept, rejects


def _turn(turn: Turn, said: Mapping[str, str]) -> Turn:
    kept = tuple(id_ for id_ in turn.utterances if id_ in said)
    text = turn.text or next((said[id_] for id_ in kept if said[id_]), "")
    return replace(turn, text=text, utterances=kept)


def _check(dialogue: Dialogue, final: Dialogue, screen: Screen) -> Reject | None:
    if (reject := check_tag(dialogue.id, dialogue.tags, screen.p)) is not None:
        return reject
    for number, (before, turn) in enumerate(zip(dialogue.turns, final.turns, strict=True), 1):
        unsaid = (screen.unsaid[id_] for id_ in before.utterances if id_ in screen.unsaid)
        if (reject := next(unsaid, None)) is not None:
            return _of_turn(reject, dialogue.id, number)
        if not turn.text:
            value = f"turn {number} has neither words nor a kept recording"
            return Reject(dialogue.id, "turn", value, "words in every turn")
        reject = check_personal(dialogue.id, turn.text, screen.p)
        if reject is None and turn.role == "user":
            reject = screen.leaks.check_words(dialogue.id, turn.text, dialogue.split)
        if reject is not None:
            return _of_turn(reject, dialogue.id, number)
    return None


def _of_turn(reject: Reject, id_: str, number: int) -> Reject:
    return replace(reject, id=id_, value=f"{reject.value} in turn {number}")


def clean_passages(
    passages: Iterable[Passage], said: Container[str], screen: Screen
) -> tuple[list[Passage], list[Reject]]:
    """What is left of the passages, and rows for sentences whose text may not stay."""
    kept: list[Passage] = []
    rejects: list[Reject] = []
    for passage in passages:
        gone: set[int] = set()
        for place, piece in enumerate(passage.pieces):
            if piece.utterance is not None and piece.utterance not in said:
                gone.add(place)  # it has a row of its own
                continue
            id_ = f"{passage.id}-{place:03d}"
            reject = check_personal(id_, piece.text, screen.p)
            reject = reject or screen.leaks.check_words(id_, piece.text, passage.split)
            if reject is not None:
                gone.add(place)
                rejects.append(replace(reject, source=passage.source))
        kept += passage.without(gone)
    return kept, rejects
