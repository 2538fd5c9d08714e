"""What is asked: cells as data, and the items of each drawn from the held-out test split.

A cell says which questions it takes (typed or spoken, which voices, which wordings) and how the
answer comes out. This is the only place of the project that reads the test split.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from moss_speech.corpus.items import Dialogue, Split, Utterance
from moss_speech.params.evaluate import ItemCounts

T = TypeVar("T")
Channel = Literal["text", "speech"]
TYPED = "typed"
"""Voice of an item without audio; one cluster of its own."""


@dataclass(frozen=True)
class Cell:
    """One way of asking; `voice` and `wording` are splits, and "test" means never trained."""

    name: str
    title: str
    ask: Channel
    reply: Channel
    voice: Split = "test"
    wording: Split = "test"
    synthesizer: Literal["known", "unseen"] = "known"
    """Whether any voice of the same synthesizer was trained."""
    taught: Literal["speech", "text", "any"] = "speech"
    """How the fact was taught: spoken question with answer, or answered only in text."""
    unspoken_answer: bool = False
    """Only answers whose words were never spoken together in training."""


QUESTION_CELLS = (
    Cell("t2t", "typed → text", "text", "text", taught="any"),
    Cell("s2t", "spoken → text, voice and wording unseen", "speech", "text"),
    Cell("t2s", "typed → spoken, wording unseen", "text", "speech"),
    Cell("s2s", "spoken → spoken, voice and wording unseen", "speech", "speech"),
    Cell("s2s_voice", "spoken → spoken, voice unseen", "speech", "speech", wording="train"),
    Cell("s2s_wording", "spoken → spoken, wording unseen", "speech", "speech", voice="train"),
    Cell(
        "s2s_synthesizer",
        "spoken → spoken, synthesizer and wording unseen",
        "speech",
        "speech",
        synthesizer="unseen",
    ),
    Cell("text_only_s2t", "fact taught in text, spoken → text", "speech", "text", taught="text"),
    Cell(
        "text_only_s2s", "fact taught in text, spoken → spoken", "speech", "speech", taught="text"
    ),
    Cell(
        "unspoken_answer_t2s",
        "answer never spoken in training, typed → spoken",
        "text",
        "speech",
        taught="any",
        unspoken_answer=True,
    ),
)
HARDEST = ("s2t", "s2s")
"""Cells that take the same questions, so that their difference is a figure of its own."""
REPEAT_CATEGORY = "repeat"
"""Category of dialogues that ask for words to be said again, instead of for a fact."""
REPEAT_TITLES = {
    "repeat_s2s": "“repeat after me …”, spoken → spoken",
    "read_aloud": "read aloud, typed → spoken",
    "dictation": "dictation, spoken → text",
    "human_dictation": "dictation by people, spoken → text",
    "repeat_ceiling": "true renditions of such words: the judges' ceiling",
}
"""Cells scored by word error; their word strings were never trained."""


@dataclass(frozen=True)
class Item:
    """One question with its right answer."""

    id: str
    cell: str
    ask: Channel
    reply: Channel
    question: str
    expected: str
    fact: str
    voice: str
    wording: str
    utterance: str | None = None
    """The spoken question; None where it is typed."""
    chance: float | None = None
    """How often a guess among the answers of its category would be right."""


def spread(candidates: Iterable[tuple[str, T]], n: int, seed: int) -> list[T]:
    """Draw `n` of (group, candidate) so that groups differ by at most one where they can."""
    pool = list(candidates)
    order = np.random.default_rng(seed).permutation(len(pool))
    seen: Counter[str] = Counter()
    ranked = []
    for place, index in enumerate(order):
        group, candidate = pool[index]
        ranked.append((seen[group], place, candidate))
        seen[group] += 1
    return [candidate for _, _, candidate in sorted(ranked, key=lambda r: r[:2])[:n]]


def synthesizer(utterance: Utterance) -> str:
    """What made the voice: the part of `speaker` before the colon."""
    return utterance.speaker.partition(":")[0]


class Suite:
    """Draws items from one corpus; equal corpus, counts and seed give equal items."""

    def __init__(
        self, utterances: Mapping[str, Utterance], dialogues: Sequence[Dialogue], seed: int
    ) -> None:
        self.utterances, self.seed = utterances, seed
        self._repeats = [d for d in dialogues if d.tags.get("category", "") == REPEAT_CATEGORY]
        self.dialogues = [d for d in dialogues if d.tags.get("category", "") != REPEAT_CATEGORY]
        trained = [u for u in utterances.values() if u.for_training]
        self.trained_synthesizers = {synthesizer(u) for u in trained}
        self._trained_texts = {u.text for u in trained}
        self.answers = sorted({d.turns[1].text for d in self.dialogues})
        """The closed list of answers to questions."""
        self._chance = _chances(self.dialogues)

    def questions(self, counts: ItemCounts) -> list[Item]:
        """Items of all question cells; a cell the corpus cannot fill is absent."""
        items = []
        for cell in QUESTION_CELLS:
            n = counts.hardest if cell.name in HARDEST else counts.cell
            found = self._typed(cell) if cell.ask == "text" else self._spoken(cell)
            items += spread(((item.fact, item) for item in found), n, self.seed)
        return items

    def repeats(self, n: int) -> list[Item]:
        """Word strings never trained: said again when asked, read aloud, taken down."""
        unseen = [
            u
            for u in self.utterances.values()
            if u.role == "salad" and u.text_split == "test" and u.text not in self._trained_texts
        ]
        drawn = spread(((u.text, u) for u in unseen), n, self.seed)
        typed = {u.text: u for u in drawn}
        asked = spread(self._asked_to_repeat(), n, self.seed)
        again = [_repeat("repeat_s2s", "speech", "speech", u, words) for u, words in asked]
        read = [_repeat("read_aloud", "text", "speech", u, u.text) for u in typed.values()]
        return again + read + [_repeat("dictation", "speech", "text", u, u.text) for u in drawn]

    def _asked_to_repeat(self) -> list[tuple[str, tuple[Utterance, str]]]:
        """Dialogue, spoken request and the words to be said again."""
        return [
            (d.id, (self.utterances[id], d.turns[1].text))
            for d in self._repeats
            if d.split == "test"
            for id in d.turns[0].utterances
            if id in self.utterances and self.utterances[id].voice_split == "test"
        ]

    def human(self, n: int) -> list[Item]:
        """Recordings of people, to be taken down."""
        people = [u for u in self.utterances.values() if u.role == "human"]
        drawn = spread(((u.speaker, u) for u in people), n, self.seed)
        return [_repeat("human_dictation", "speech", "text", u, u.text) for u in drawn]

    def repeat_renditions(self, n: int) -> list[Utterance]:
        """True renditions of words to be said again, in the assistant's voice."""
        ids = [id for d in self._repeats if d.split == "test" for id in d.turns[1].utterances]
        found = [self.utterances[id] for id in ids if id in self.utterances]
        return spread(((u.text, u) for u in found), n, self.seed)

    def renditions(self, n: int) -> list[Utterance]:
        """True renditions of answers in the assistant's voice that training never saw."""
        held_out = [
            u
            for u in self.utterances.values()
            if u.role == "answer" and u.text_split == "test" and u.text in self.answers
        ]
        return spread(((u.text, u) for u in held_out), n, self.seed)

    def hearing(self, n: int) -> dict[str, list[Utterance]]:
        """Questions for the tokenizer's word-error table, by what is unseen about them."""
        rows: dict[str, list[Utterance]] = {
            name: [] for name in ("voice", "wording", "both", "synthesizer", "salad", "human")
        }
        for u in self.utterances.values():
            if (row := self._hearing_row(u)) is not None:
                rows[row].append(u)
        return {
            name: spread(((u.speaker, u) for u in found), n, self.seed)
            for name, found in rows.items()
            if found
        }

    def _hearing_row(self, u: Utterance) -> str | None:
        if u.role == "human":
            return "human"
        if u.role == "salad":
            return "salad" if u.text_split == "test" else None
        asked = u.role == "question" and u.tags.get("category") != REPEAT_CATEGORY
        if not asked or "dev" in (u.voice_split, u.text_split):
            return None
        if synthesizer(u) not in self.trained_synthesizers:
            return "synthesizer"
        unseen = (u.voice_split == "test", u.text_split == "test")
        return {(True, False): "voice", (False, True): "wording", (True, True): "both"}.get(unseen)

    def _typed(self, cell: Cell) -> list[Item]:
        found = [d for d in self.dialogues if self._asks(cell, d)]
        return [self._item(cell, d, d.id, TYPED, None) for d in found]

    def _spoken(self, cell: Cell) -> list[Item]:
        return [
            self._item(cell, d, id, self.utterances[id].speaker, id)
            for d in self.dialogues
            if self._asks(cell, d)
            for id in d.turns[0].utterances
            if id in self.utterances and self._sounds(cell, self.utterances[id])
        ]

    def _asks(self, cell: Cell, d: Dialogue) -> bool:
        answer = d.turns[1].text
        return (
            d.split == cell.wording
            and cell.taught in ("any", d.tags.get("taught", "speech"))
            and not (cell.unspoken_answer and self._was_spoken(answer))
        )

    def _sounds(self, cell: Cell, u: Utterance) -> bool:
        known = synthesizer(u) in self.trained_synthesizers
        return u.voice_split == cell.voice and known == (cell.synthesizer == "known")

    def _was_spoken(self, answer: str) -> bool:
        return any(f" {answer} " in f" {text} " for text in self._trained_texts)

    def _item(self, cell: Cell, d: Dialogue, key: str, voice: str, id: str | None) -> Item:
        return Item(
            id=f"{cell.name}/{key}",
            cell=cell.name,
            ask=cell.ask,
            reply=cell.reply,
            question=d.turns[0].text,
            expected=d.turns[1].text,
            fact=d.tags.get("fact", d.id),
            voice=voice,
            wording=d.tags.get("wording", ""),
            utterance=id,
            chance=self._chance[d.tags.get("category", "")],
        )


def _repeat(cell: str, ask: Channel, reply: Channel, u: Utterance, words: str) -> Item:
    spoken: dict[str, Any] = {"voice": TYPED}
    if ask == "speech":
        spoken = {"voice": u.speaker, "utterance": u.id}
    return Item(f"{cell}/{u.id}", cell, ask, reply, u.text, words, words, wording="", **spoken)


def _chances(dialogues: Iterable[Dialogue]) -> dict[str, float]:
    answers: dict[str, set[str]] = {}
    for d in dialogues:
        answers.setdefault(d.tags.get("category", ""), set()).add(d.turns[1].text)
    return {category: 1 / len(found) for category, found in answers.items()}
