"""What the language model may learn from: training utterances, their codes, borders, dialogues."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from moss_speech.corpus.items import Dialogue, Utterance

Codes = NDArray[np.int64]
Pairing = Literal["t2t", "s2t", "t2s", "s2s"]
"""Typed or spoken questions to typed or spoken answers."""
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)


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
    """One question and its answer, in words and in all renditions that may be heard."""

    question: str
    answer: str
    questions: tuple[Spoken, ...]
    answers: tuple[Spoken, ...]


@dataclass(frozen=True)
class Conversation:
    """The exchanges of one training dialogue, in their order."""

    exchanges: tuple[Exchange, ...]
    text_only: bool
    """True for what is taught in text only: its speech is never used in a dialogue."""

    @property
    def repeats(self) -> bool:
        """True if all that is asked for is the end of the question again."""
        first = self.exchanges[0]
        return len(self.exchanges) == 1 and first.question.endswith(first.answer)

    def obstacle(self, pairing: Pairing) -> str | None:
        """Why it cannot be told in a pairing, None if it can.

        Every answer of a spoken pairing must be recorded; of the questions one is enough, the
        others are typed.
        """
        if pairing == "t2t":
            return None
        if self.text_only:
            return "taught_in_text"
        if pairing[0] == "s" and not any(e.questions for e in self.exchanges):
            return "no_question_spoken"
        if pairing[-1] == "s" and not all(e.answers for e in self.exchanges):
            return "answer_not_spoken"
        return None


@dataclass(frozen=True)
class Material:
    """Everything that sequences of a stage are drawn from."""

    spoken: tuple[Spoken, ...]
    conversations: tuple[Conversation, ...]
    left_out: Mapping[str, int]
    """Dialogues that nothing is drawn from, by reason."""

    @property
    def exchanges(self) -> list[Exchange]:
        """The exchanges of all conversations."""
        return [e for conversation in self.conversations for e in conversation.exchanges]

    def suited(self, pairing: Pairing) -> list[Conversation]:
        """The conversations that can be told in a pairing."""
        return [c for c in self.conversations if c.obstacle(pairing) is None]

    def account(self) -> dict[str, Any]:
        """How many dialogues each pairing draws from, what it leaves out and what it falls back to.

        `questions_typed` are turns of a spoken pairing that stay typed for want of a recording.
        """
        pairings: dict[str, dict[str, int]] = {}
        for pairing in PAIRINGS:
            suited = self.suited(pairing)
            obstacles = Counter(c.obstacle(pairing) for c in self.conversations)
            counts = {"dialogues": obstacles.pop(None, 0)}
            if pairing[0] == "s":
                turns = [e for c in suited for e in c.exchanges]
                counts["questions_typed"] = sum(not e.questions for e in turns)
            pairings[pairing] = {**counts, **{str(why): n for why, n in obstacles.items()}}
        exchanges = max((len(c.exchanges) for c in self.conversations), default=0)
        left_out = dict(self.left_out)
        return {"left_out": left_out, "longest_exchanges": exchanges, "pairings": pairings}


def text_material(dialogues: Sequence[Dialogue], utterances: Mapping[str, Utterance]) -> Material:
    """Training material without any speech: for the text backbone."""
    texts = sorted({u.text for u in utterances.values() if u.for_training})
    nothing = np.zeros(0, np.int64)
    spoken = tuple(Spoken(text, text, nothing, False, ()) for text in texts)
    return Material(spoken, *_conversations(dialogues, {}))


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
    return Material(tuple(spoken.values()), *_conversations(dialogues, spoken))


def _conversations(
    dialogues: Sequence[Dialogue], spoken: Mapping[str, Spoken]
) -> tuple[tuple[Conversation, ...], dict[str, int]]:
    """Dialogues with their speech, and how many were left out by reason."""

    def those(ids: Sequence[str]) -> tuple[Spoken, ...]:
        return tuple(spoken[i] for i in ids if i in spoken)

    conversations, left_out = [], {"held_out": 0, "turn_without_words": 0}
    for dialogue in dialogues:
        if dialogue.split != "train":
            left_out["held_out"] += 1
            continue
        if not all(turn.text for turn in dialogue.turns):
            left_out["turn_without_words"] += 1
            continue
        exchanges = tuple(
            Exchange(asked.text, said.text, those(asked.utterances), those(said.utterances))
            for asked, said in dialogue.exchanges
        )
        conversations.append(Conversation(exchanges, dialogue.tags.get("taught") == "text"))
    return tuple(conversations), left_out
