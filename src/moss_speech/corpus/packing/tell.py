"""Telling dialogues: which ones are told together, and in which recordings they are heard."""

from collections.abc import Sequence

import numpy as np

from moss_speech.corpus.packing.fillers import Fillers
from moss_speech.corpus.packing.material import (
    PAIRINGS,
    Codes,
    Conversation,
    Exchange,
    Material,
    Pairing,
    Spoken,
)
from moss_speech.corpus.packing.pool import Pool
from moss_speech.corpus.packing.splice import Splicer, most_typical
from moss_speech.lm.grid import Turn
from moss_speech.params.lm import Composition

Told = tuple[list[Turn], list[Conversation], list[Spoken]]
"""Turns, the dialogues that they come from, the recordings that are heard."""


def _typical_answers(exchanges: Sequence[Exchange], n_kept: int) -> dict[str, list[Spoken]]:
    """The most typical renditions of each answer that is spoken, wherever it is an answer."""
    spoken: dict[str, dict[str, Spoken]] = {}
    for exchange in exchanges:
        spoken.setdefault(exchange.answer, {}).update({s.id: s for s in exchange.answers})
    renditions = {answer: list(by_id.values()) for answer, by_id in spoken.items() if by_id}
    return {
        answer: [said[i] for i in most_typical([s.codes for s in said], n_kept)]
        for answer, said in renditions.items()
    }


class _Sorts:
    """Dialogues that repeat words and those that do not, drawn by their shares."""

    def __init__(self, conversations: Sequence[Conversation], p: Composition) -> None:
        every, self._repeat_share = Pool(conversations, p), p.repeat_share
        sorts = (Pool([c for c in conversations if c.repeats == is_], p) for is_ in (False, True))
        self._others, self._repeats = (sort if len(sort) else every for sort in sorts)
        self._every = every

    def __len__(self) -> int:
        return len(self._every)

    def pick(self, random: np.random.Generator) -> Conversation:
        if self._repeat_share is None:
            return self._every.pick(random)
        wanted = random.random() < self._repeat_share
        return (self._repeats if wanted else self._others).pick(random)


class Teller:
    """Dialogues as turns, typed or spoken."""

    def __init__(self, material: Material, p: Composition) -> None:
        self._p = p
        suited = {pairing: material.suited(pairing) for pairing in PAIRINGS}
        self.pools = {pairing: _Sorts(found, p) for pairing, found in suited.items()}
        self._single = {
            pairing: _Sorts([c for c in found if len(c.exchanges) == 1], p)
            for pairing, found in suited.items()
        }
        spoken = [s for s in material.spoken if len(s.codes)]
        self._splicer = Splicer([s for s in spoken if s.is_assistant], p.renditions)
        self._answers = _typical_answers(material.exchanges, p.renditions)
        self._fillers = Fillers(spoken, material.exchanges)

    def tell(self, pairing: Pairing, random: np.random.Generator) -> Told:
        """One dialogue as it is; to one of a single exchange others of that kind are joined."""
        n_joined = int(random.integers(1, self._p.max_exchanges + 1))
        told = [self.pools[pairing].pick(random)]
        turns, heard = self._turns(told[0], pairing, random)
        if len(told[0].exchanges) == 1:
            for _ in range(n_joined - 1):
                told.append(self._single[pairing].pick(random))
                more, more_heard = self._turns(told[-1], pairing, random)
                turns, heard = turns + more, heard + more_heard
        return turns, told, heard

    def _turns(
        self, told: Conversation, pairing: Pairing, random: np.random.Generator
    ) -> tuple[list[Turn], list[Spoken]]:
        """All turns; a question of a spoken pairing that no recording speaks stays typed."""
        turns, heard = [], []
        for exchange in told.exchanges:
            asked, said = Turn("user", exchange.question), Turn("assistant", exchange.answer)
            if pairing[0] == "s" and exchange.questions:
                heard.append(_pick(exchange.questions, random))
                asked = Turn("user", codes=self._asked_codes(heard[-1], random))
            if pairing[-1] == "s":
                heard.append(_pick(self._answers[exchange.answer], random))
                said = Turn("assistant", codes=self.said_codes(heard[-1], random))
            turns += [asked, said]
        return turns, heard

    def said_codes(self, said: Spoken, random: np.random.Generator) -> Codes:
        """Codes of a rendition, some with the beginning of another one."""
        codes = said.codes
        if said.is_assistant and random.random() < self._p.splice_share:
            codes = self._splicer.splice(said, random)
        return codes

    def _asked_codes(self, asked: Spoken, random: np.random.Generator) -> Codes:
        """Codes of a question, sometimes with stray words between its own."""
        stray = random.random() < self._p.filler_share
        codes_N = self._fillers.insert(asked, random) if stray else asked.codes
        return self.in_a_tempo(codes_N, random)

    def in_a_tempo(self, codes_N: Codes, random: np.random.Generator) -> Codes:
        """Codes of what is heard, some dropped and some doubled: other tempi."""
        times = np.ones(len(codes_N), np.int64)
        changed = random.random(len(codes_N)) < self._p.tempo_jitter
        times[changed] = random.choice((0, 2), int(changed.sum()))
        codes = np.repeat(codes_N, times)
        return codes if len(codes) else codes_N


def _pick(renditions: Sequence[Spoken], random: np.random.Generator) -> Spoken:
    return renditions[int(random.integers(len(renditions)))]
