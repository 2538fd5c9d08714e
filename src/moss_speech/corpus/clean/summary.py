"""What cleaning counts while it goes on: summary.json."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.clean.listen import Heard
from moss_speech.corpus.clean.measure import has_given_words
from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.clean.withdrawn import REASON
from moss_speech.corpus.items import Utterance
from moss_speech.speech.text import normalise


@dataclass
class _Sound:
    """Sums over what was heard of one synthesiser or role."""

    items: int = 0
    quality: float = 0.0
    words: int = 0
    wrong: int = 0

    def figures(self) -> dict[str, float | None]:
        error = round(self.wrong / self.words, 3) if self.words else None
        return {
            "items": self.items,
            "word_error": error,
            "quality": round(self.quality / self.items, 2),
        }


class Count:
    """Told of each item once when it is rejected or kept."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._by_source: dict[str, Counter[str]] = {}
        self._splits: Counter[str] = Counter()
        self._dialogues: Counter[str] = Counter()
        self._sentences: Counter[str] = Counter()
        self._sounds: dict[str, _Sound] = {}
        self._caught: dict[str, str] = {}
        self._missed: list[str] = []
        self._seconds = 0.0

    def reject(self, u: Utterance, reject: Reject) -> Reject:
        """Count a rejected item; returns the row with its source."""
        source = u.tags.get("source", "")
        self._reasons[reject.reason] += 1
        self._by_source.setdefault(source, Counter())[reject.reason] += 1
        if "flaw" in u.tags:
            self._caught[u.id] = reject.reason
        return replace(reject, source=source)

    def reject_dialogue(self, reject: Reject) -> Reject:
        """Count a rejected dialogue."""
        self._dialogues[reject.reason] += 1
        return reject

    def reject_sentence(self, reject: Reject) -> Reject:
        """Count a rejected sentence of a passage."""
        self._sentences[reject.reason] += 1
        return reject

    def keep(self, u: Utterance) -> None:
        """Count a kept item."""
        self._by_source.setdefault(u.tags.get("source", ""), Counter())["kept"] += 1
        self._splits[f"{u.voice_split}/{u.text_split}"] += 1
        self._seconds += u.duration_s
        if "flaw" in u.tags:
            self._missed.append(u.id)

    def hear(self, u: Utterance, heard: Heard) -> None:
        """Count what was heard of an item that is not broken on purpose."""
        if "flaw" in u.tags:
            return
        sound = self._sounds.setdefault(u.tags.get("synthesizer", u.role), _Sound())
        sound.items += 1
        sound.quality += heard.quality
        if has_given_words(u) and heard.words is not None:
            words = normalise(u.text).split()
            sound.words += len(words)
            sound.wrong += Levenshtein.distance(words, heard.words.split())

    def check_share(self, most: float, rejects: list[Reject]) -> None:
        """Raise `ValueError` if more than a share of the items was rejected.

        To leave out who withdrew is no fault of the corpus.
        """
        faults = Counter({reason: n for reason, n in self._reasons.items() if reason != REASON})
        n_rejected, n_kept = faults.total(), self._splits.total()
        share = n_rejected / max(n_rejected + n_kept, 1)
        if share <= most:
            return
        reasons = ", ".join(f"{reason} ({n})" for reason, n in faults.most_common(3))
        first = next(r for r in rejects if r.reason != REASON)
        raise ValueError(
            f"{share:.1%} of {n_rejected + n_kept} items are rejected, allowed is {most:.1%}; "
            f"most often {reasons}; first {first.id}: {first.reason} {first.value}, "
            f"allowed {first.allowed}"
        )

    def summary(self, n_dialogues: int) -> dict[str, Any]:
        """Everything that was counted; `sentences` only where some of a passage were rejected."""
        sentences = {"rejected": dict(sorted(self._sentences.items()))}
        return {
            "items": self._reasons.total() + self._splits.total(),
            "kept": self._splits.total(),
            "rejected": dict(sorted(self._reasons.items())),
            "by_source": {name: dict(sorted(n.items())) for name, n in self._by_source.items()},
            "dialogues": {"kept": n_dialogues, "rejected": dict(sorted(self._dialogues.items()))},
            "hours_kept": round(self._seconds / 3600, 4),
            "splits": dict(sorted(self._splits.items())),
            "flaws": {
                "planted": len(self._caught) + len(self._missed),
                "caught": len(self._caught),
                "missed": self._missed,
                "caught_as": self._caught,
            },
            "listened": sum(sound.items for sound in self._sounds.values()),
            "by_synthesizer": {n: s.figures() for n, s in sorted(self._sounds.items())},
            **({"sentences": sentences} if self._sentences else {}),
        }
