"""The nearest known answer by edit distance on codes: a measure that needs no recogniser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.items import Dialogue


@dataclass(frozen=True)
class AnswerBook:
    """Every known answer and the code sequences of its renditions."""

    renditions: dict[str, tuple[tuple[int, ...], ...]]

    @classmethod
    def of(
        cls, dialogues: Sequence[Dialogue], codes: Mapping[str, Sequence[int]]
    ) -> "AnswerBook":
        """Collect the spoken answers of all dialogues."""
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for turn in (t for d in dialogues for t in d.turns if t.role == "assistant"):
            spoken = {i: tuple(int(c) for c in codes[i]) for i in turn.utterances if i in codes}
            found.setdefault(turn.text, {}).update(spoken)
        kept = {text: tuple(spoken.values()) for text, spoken in found.items() if spoken}
        if not kept:
            raise ValueError("the dialogues hold 0 spoken answers, must hold at least 1")
        return cls(kept)

    def nearest(self, codes: Sequence[int]) -> str:
        """The answer with the rendition nearest to `codes`, distance divided by the longer one."""

        def distance(text: str) -> float:
            return min(
                Levenshtein.normalized_distance(codes, known) for known in self.renditions[text]
            )

        return min(self.renditions, key=distance)
