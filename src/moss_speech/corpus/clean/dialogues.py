"""Dialogues after cleaning: kept utterances only, words where there were none, nothing personal."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.clean.words import check_personal
from moss_speech.corpus.items import Dialogue, Turn
from moss_speech.corpus.passages import Passage
from moss_speech.params.clean import Clean


def spoken_ids(dialogues: Iterable[Dialogue], passages: Iterable[Passage]) -> set[str]:
    """Ids of all utterances that belong to a dialogue or a passage."""
    said = {id_ for d in dialogues for turn in d.turns for id_ in turn.utterances}
    return said | {piece.utterance for p in passages for piece in p.pieces if piece.utterance}


def clean_dialogues(
    dialogues: Iterable[Dialogue], said: Mapping[str, str], p: Clean
) -> tuple[list[Dialogue], list[Reject]]:
    """Kept dialogues and rows for the others; `said` has the words of every kept utterance."""
    kept: list[Dialogue] = []
    rejects: list[Reject] = []
    for dialogue in dialogues:
        final = replace(dialogue, turns=tuple(_turn(turn, said) for turn in dialogue.turns))
        if (reject := _check(final, p)) is None:
            kept.append(final)
        else:
            rejects.append(replace(reject, source=dialogue.tags.get("source", "")))
    return kept, rejects


def _turn(turn: Turn, said: Mapping[str, str]) -> Turn:
    kept = tuple(id_ for id_ in turn.utterances if id_ in said)
    text = turn.text or next((said[id_] for id_ in kept if said[id_]), "")
    return replace(turn, text=text, utterances=kept)


def _check(dialogue: Dialogue, p: Clean) -> Reject | None:
    for number, turn in enumerate(dialogue.turns, 1):
        if not turn.text:
            value = f"turn {number} has neither words nor a kept recording"
            return Reject(dialogue.id, "turn", value, "words in every turn")
        if (reject := check_personal(dialogue.id, turn.text, p)) is not None:
            return replace(reject, value=f"{reject.value} in turn {number}")
    return None
