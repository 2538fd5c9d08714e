"""What the language model may learn from: training utterances, their codes, borders, dialogues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from moss_speech.corpus.items import Dialogue, Utterance

Codes = NDArray[np.int64]


class Word(Protocol):
    """A word of an utterance and the codes that it covers."""

    @property
    def word(self) -> str:
        """The word."""

    @property
    def start_code(self) -> int:
        """Its first code."""

    @property
    def end_code(self) -> int:
        """The code after its last."""


@dataclass(frozen=True)
class Spoken:
    """One training utterance with its codes; `words` is empty if its borders are unknown."""

    id: str
    text: str
    codes: Codes
    is_assistant: bool
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Exchange:
    """One training question and its answer, in words and in all renditions that may be heard."""

    question: str
    answer: str
    questions: tuple[Spoken, ...]
    answers: tuple[Spoken, ...]
    text_only: bool
    """True for what is taught in text only: its speech is never used in a dialogue."""

    @property
    def repeats(self) -> bool:
        """True if the answer says the end of the question again."""
        return self.question.endswith(self.answer)


@dataclass(frozen=True)
class Material:
    """Everything that sequences of a stage are drawn from."""

    spoken: tuple[Spoken, ...]
    exchanges: tuple[Exchange, ...]


def text_material(dialogues: Sequence[Dialogue], utterances: Mapping[str, Utterance]) -> Material:
    """Training material without any speech: for the text backbone."""
    texts = sorted({u.text for u in utterances.values() if u.for_training})
    nothing = np.zeros(0, np.int64)
    spoken = tuple(Spoken(text, text, nothing, False, ()) for text in texts)
    exchanges = tuple(
        Exchange(d.turns[0].text, d.turns[1].text, (), (), True) for d in _trainable(dialogues)
    )
    return Material(spoken, exchanges)


def gather(
    utterances: Mapping[str, Utterance],
    dialogues: Sequence[Dialogue],
    codes: Mapping[str, Codes],
    borders: Mapping[str, Sequence[Word]],
) -> Material:
    """Training material; utterances of held-out voices or wordings are left out here."""
    assistants = {u.speaker for u in utterances.values() if u.role == "answer"}
    spoken = {
        u.id: Spoken(
            u.id, u.text, codes[u.id], u.speaker in assistants, tuple(borders.get(u.id, ()))
        )
        for u in utterances.values()
        if u.for_training and u.role != "human" and u.id in codes
    }

    def those(ids: Sequence[str]) -> tuple[Spoken, ...]:
        return tuple(spoken[i] for i in ids if i in spoken)

    exchanges = []
    for dialogue in _trainable(dialogues):
        question, answer = dialogue.turns[:2]
        asked, said = those(question.utterances), those(answer.utterances)
        text_only = dialogue.tags.get("taught") == "text" or not asked or not said
        exchanges.append(Exchange(question.text, answer.text, asked, said, text_only))
    return Material(tuple(spoken.values()), tuple(exchanges))


def _trainable(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """Dialogues whose wording is not held out."""
    return [d for d in dialogues if d.split == "train"]
