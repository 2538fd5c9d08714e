"""What the language model may learn from: training utterances, their codes, borders, dialogues."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.corpus.passages import Passage, Piece

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
class Origin:
    """What the account and the shares tell items apart by."""

    language: str = "en"
    source: str = "unnamed"


@dataclass(frozen=True)
class Spoken:
    """One training utterance with its codes; `words` is empty if its borders are unknown."""

    id: str
    text: str
    """Empty for speech that nobody wrote down."""
    codes: Codes
    is_assistant: bool
    words: tuple[Word, ...]
    origin: Origin = Origin()
    speaker: str = ""


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
    origin: Origin = Origin()

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
class Reading:
    """A training passage: its sentences in order, typed or spoken."""

    text: str
    pieces: tuple[str | Spoken, ...]
    origin: Origin

    @property
    def spoken(self) -> list[Spoken]:
        """The sentences that are heard."""
        return [piece for piece in self.pieces if isinstance(piece, Spoken)]

    @property
    def is_spoken(self) -> bool:
        """Whether any sentence is."""
        return bool(self.spoken)

    def runs(self) -> list[str | Codes]:
        """Typed and spoken in turn: sentences that follow each other typed are one piece."""
        runs: list[str | Codes] = []
        for piece in self.pieces:
            if isinstance(piece, Spoken):
                runs.append(piece.codes)
                continue
            typed = f" {piece}" if runs else piece
            if runs and isinstance(before := runs[-1], str):
                runs[-1] = before + typed
            else:
                runs.append(typed)
        return runs


@dataclass(frozen=True)
class Material:
    """Everything that sequences of a stage are drawn from."""

    spoken: tuple[Spoken, ...]
    """Training utterances with their words."""
    conversations: tuple[Conversation, ...]
    left_out: Mapping[str, int]
    """Dialogues that nothing is drawn from, by reason."""
    wordless: tuple[Spoken, ...] = ()
    """Training utterances that nobody wrote down."""
    readings: tuple[Reading, ...] = ()

    @property
    def everything(self) -> "tuple[Spoken | Conversation | Reading, ...]":
        """All items, whatever they are drawn for."""
        return (*self.spoken, *self.wordless, *self.conversations, *self.readings)

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
    origins = {u.text: _origin(u) for u in utterances.values() if u.for_training and u.text}
    nothing = np.zeros(0, np.int64)
    spoken = tuple(Spoken(t, t, nothing, False, (), origins[t]) for t in sorted(origins))
    return Material(spoken, *_conversations(dialogues, {}))


def gather(
    utterances: Mapping[str, Utterance],
    dialogues: Sequence[Dialogue],
    codes: Mapping[str, Codes],
    borders: Mapping[str, Sequence[Word]],
    passages: Sequence[Passage] = (),
) -> Material:
    """Training material; utterances of held-out voices or wordings are left out here."""
    assistants = {u.speaker for u in utterances.values() if u.role == "answer"}
    found = {
        u.id: Spoken(
            id=u.id,
            text=u.text,
            codes=codes[u.id],
            is_assistant=u.speaker in assistants,
            words=tuple(borders.get(u.id, ())),
            origin=_origin(u),
            speaker=u.speaker,
        )
        for u in utterances.values()
        if u.for_training and u.role != "human" and u.id in codes
    }
    spoken = {id_: s for id_, s in found.items() if s.text}
    return Material(
        tuple(spoken.values()),
        *_conversations(dialogues, spoken),
        wordless=tuple(s for s in found.values() if not s.text),
        readings=_readings(passages, spoken),
    )


def _origin(u: Utterance) -> Origin:
    return Origin(u.language, u.tags.get("source", Origin.source))


def _readings(passages: Sequence[Passage], spoken: Mapping[str, Spoken]) -> tuple[Reading, ...]:
    """Passages of the training split; a sentence whose speech is unknown here stays typed."""

    def said(piece: Piece) -> str | Spoken:
        return piece.text if piece.utterance is None else spoken.get(piece.utterance, piece.text)

    return tuple(
        Reading(p.text, tuple(map(said, p.pieces)), Origin(p.language, p.source))
        for p in passages
        if p.split == "train"
    )


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
        taught_in_text = dialogue.tags.get("taught") == "text"
        origin = _told_origin(dialogue, exchanges)
        conversations.append(Conversation(exchanges, taught_in_text, origin))
    return tuple(conversations), left_out


def _told_origin(dialogue: Dialogue, exchanges: Sequence[Exchange]) -> Origin:
    """By the dialogue's tags; what they leave out, by the first recording of a turn."""
    speech = (s.origin for e in exchanges for s in (*e.questions, *e.answers))
    heard = next(speech, Origin())
    tags = {"language": heard.language, "source": heard.source, **dialogue.tags}
    return Origin(tags["language"], tags["source"])
