"""What training must not share with what is held out: voices, and texts that are nearly equal.

Two texts of n words that differ in d words share all but 2 d of their pairs of neighbouring words;
so a text is compared with those held-out texts that share one of its rarest pairs.
"""

import math
from collections import Counter
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.items import Split, Utterance
from moss_speech.speech.text import normalise

WORDING = "wording leak"
PROTECTED: tuple[Split, ...] = ("test", "dev", "train")
"""Where splits overlap, the earlier one keeps the item."""
_Pair = tuple[str, str]


def _pairs(words: list[str]) -> list[_Pair]:
    return list(pairwise(words))


class NearTexts:
    """Held-out texts, and whether another text differs from one in a small share of its words."""

    def __init__(self, near: float) -> None:
        self._near = near
        self._texts: list[tuple[list[str], int]] = []
        self._known: dict[str, int] = {}
        self._places: dict[_Pair, list[int]] = {}

    def add(self, text: str, rank: int) -> None:
        """Hold a text of a split; `rank` is its place in `PROTECTED`."""
        if text in self._known:
            n = self._known[text]
            self._texts[n] = (self._texts[n][0], min(rank, self._texts[n][1]))
            return
        words = text.split()
        for pair in set(_pairs(words)):
            self._places.setdefault(pair, []).append(len(self._texts))
        self._known[text] = len(self._texts)
        self._texts.append((words, rank))

    def find(self, text: str, rank: int) -> tuple[str, float, Split] | None:
        """A text of a more protected split that lies near: it, the share of words, its split."""
        words = text.split()
        for n in sorted(self._candidates(words)):
            other, other_rank = self._texts[n]
            if other_rank >= rank:
                continue
            longest = max(len(words), len(other))
            share = Levenshtein.distance(words, other) / longest
            if 0 < share <= self._near:
                return " ".join(other), share, PROTECTED[other_rank]
        return None

    def _candidates(self, words: list[str]) -> set[int]:
        """Texts that share one of so many rarest pairs that none near can be missed."""
        longest = math.floor(len(words) / (1 - self._near))
        n_changed = 2 * math.floor(self._near * longest)
        if n_changed == 0:
            return set()
        counted = Counter(_pairs(words))
        rarest = sorted(counted, key=lambda pair: (len(self._places.get(pair, ())), pair))
        found: set[int] = set()
        for pair in rarest[: n_changed + 1]:
            found.update(self._places.get(pair, ()))
        return found


class Leaks:
    """Told of every kept item first, asked about each afterwards."""

    def __init__(self, near: float) -> None:
        self._voices: dict[str, int] = {}
        self._texts: dict[int, int] = {}
        self._near = NearTexts(near)

    def add(self, u: Utterance) -> None:
        """Remember whose voice and which words an item's splits hold."""
        rank = PROTECTED.index(u.voice_split)
        self._voices[u.speaker] = min(rank, self._voices.get(u.speaker, rank))
        if _is_asked(u):
            self.add_words(u.text, u.text_split)

    def add_words(self, text: str, split: Split) -> None:
        """Remember words that a split holds, spoken or typed."""
        if not (words := normalise(text)):
            return
        key, rank = hash(words), PROTECTED.index(split)
        self._texts[key] = min(rank, self._texts.get(key, rank))
        if split != "train":
            self._near.add(words, rank)

    def check(self, u: Utterance) -> Reject | None:
        """A row for a voice or words that a more protected split holds too."""
        if (owner := PROTECTED[self._voices[u.speaker]]) != u.voice_split:
            return _row(u.id, "voice leak", f"{u.speaker!r} in {u.voice_split}", owner)
        return self.check_words(u.id, u.text, u.text_split) if _is_asked(u) else None

    def check_words(self, id_: str, text: str, split: Split) -> Reject | None:
        """A row for words of a split, spoken or typed, that a more protected one holds too."""
        if not (words := normalise(text)):
            return None
        rank = PROTECTED.index(split)
        if (owner_rank := self._texts.get(hash(words), rank)) < rank:
            return _row(id_, WORDING, f"{words!r} in {split}", PROTECTED[owner_rank])
        if (near := self._near.find(words, rank)) is None:
            return None
        other, share, owner = near
        value = f"{words!r} in {split}, {share:.2f} of words from {other!r}"
        return _row(id_, WORDING, value, owner)


def _row(id_: str, reason: str, value: str, owner: Split) -> Reject:
    return Reject(id_, reason, value, f"in one split; {owner} has it")


def _is_asked(u: Utterance) -> bool:
    """Whether its words may not leak: of answers renditions are held out, not sentences."""
    return u.role != "answer"
