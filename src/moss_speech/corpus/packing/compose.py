"""Drawing training sequences: four dialogue pairings, dictation, reading aloud, interleaving."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar, get_args

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
from moss_speech.corpus.packing.splice import Splicer, most_typical
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import (
    IGNORE,
    REPEAT,
    GridSequence,
    Turn,
    interleaved_sequence,
    training_sequence,
)
from moss_speech.lm.tokenizer import TextTokenizer
from moss_speech.params.lm import Composition

Kind = Literal[Pairing, "asr", "tts", "interleave", "copy_text"]
"""A dialogue in one of the four pairings; dictation; reading; both mixed; repeating."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_MAX_SPAN_WORDS = 3
T = TypeVar("T")


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


class Composer:
    """An endless stream of training sequences: equal seeds give equal streams."""

    def __init__(
        self,
        material: Material,
        p: Composition,
        tokenizer: TextTokenizer,
        config: LMConfig,
        seed: int,
    ) -> None:
        self._p, self._tokenizer, self._config = p, tokenizer, config
        self._random = np.random.default_rng(seed)
        self._dialogues = {pairing: material.suited(pairing) for pairing in PAIRINGS}
        self._texts = sorted({s.text for s in material.spoken})
        self._spoken = [s for s in material.spoken if len(s.codes)]
        self._read = [s for s in self._spoken if s.is_assistant or not p.assistant_reads]
        assistant = [s for s in self._spoken if s.is_assistant]
        self._splicer = Splicer(assistant, p.renditions)
        self._answers = _typical_answers(material.exchanges, p.renditions)
        self._fillers = Fillers(self._spoken, material.exchanges)
        self._aligned = [s for s in self._spoken if len(s.words) > 1]
        shares = np.array([getattr(p.mixture, kind) for kind in KINDS])
        self._shares = shares / shares.sum()
        self._check()

    def _check(self) -> None:
        pools: dict[Kind, Sequence[object]] = {
            "t2t": self._dialogues["t2t"],
            "s2t": self._dialogues["s2t"],
            "t2s": self._dialogues["t2s"],
            "s2s": self._dialogues["s2s"],
            "asr": self._spoken,
            "tts": self._read,
            "interleave": self._aligned,
            "copy_text": self._texts,
        }
        for kind, share in zip(KINDS, self._shares, strict=True):
            if share > 0 and not pools[kind]:
                raise ValueError(
                    f"mixture.{kind} is {getattr(self._p.mixture, kind)}, must be 0: "
                    "the corpus has nothing for it"
                )

    def __iter__(self) -> Iterator[tuple[Kind, GridSequence]]:
        """Yield kind and sequence without end."""
        while True:
            kind = KINDS[self._random.choice(len(KINDS), p=self._shares)]
            yield kind, self._without_some_ends(self._draw(kind))

    def _draw(self, kind: Kind) -> GridSequence:
        match kind:
            case "asr":
                heard = self._pick(self._spoken)
                return self._repeat(Turn("user", codes=self._in_a_tempo(heard.codes)), heard.text)
            case "tts":
                said = self._pick(self._read)
                return self._repeat(Turn("user", text=said.text), self._said_codes(said))
            case "copy_text":
                text = self._pick(self._texts)
                return self._repeat(Turn("user", text=text), text)
            case "interleave":
                spans = self._spans(self._pick(self._aligned))
                return interleaved_sequence(spans, self._tokenizer, self._config)
            case _:
                return self._dialogue(kind)

    def _pick(self, pool: Sequence[T]) -> T:
        return pool[int(self._random.integers(len(pool)))]

    def _repeat(self, asked: Turn, answer: str | list[int]) -> GridSequence:
        if isinstance(answer, str):
            turns = [Turn("system", REPEAT["text"]), asked, Turn("assistant", answer)]
        else:
            reply = Turn("assistant", codes=answer)
            turns = [Turn("system", REPEAT["audio"]), asked, reply]
        return training_sequence(turns, self._tokenizer, self._config)

    def _dialogue(self, pairing: Pairing) -> GridSequence:
        told = self._exchanges(self._dialogues[pairing])
        turns = [turn for exchange in told for turn in self._exchange(exchange, pairing)]
        return training_sequence(turns, self._tokenizer, self._config)

    def _exchanges(self, pool: Sequence[Conversation]) -> Iterator[Exchange]:
        """One dialogue as it is; to one of a single exchange others of that kind are joined."""
        n_joined = int(self._random.integers(1, self._p.max_exchanges + 1))
        first = self._pick(self._of_one_sort(pool))
        yield from first.exchanges
        if len(first.exchanges) > 1:
            return
        single = [c for c in pool if len(c.exchanges) == 1]
        for _ in range(n_joined - 1):
            yield from self._pick(self._of_one_sort(single)).exchanges

    def _of_one_sort(self, pool: Sequence[Conversation]) -> Sequence[Conversation]:
        """The dialogues that repeat words, or those that do not, by their shares."""
        if self._p.repeat_share is None:
            return pool
        wanted = self._random.random() < self._p.repeat_share
        return [c for c in pool if c.repeats == wanted] or pool

    def _exchange(self, exchange: Exchange, pairing: Pairing) -> tuple[Turn, Turn]:
        """Both turns; a question of a spoken pairing that no recording speaks stays typed."""
        asked, said = Turn("user", exchange.question), Turn("assistant", exchange.answer)
        if pairing[0] == "s" and exchange.questions:
            asked = Turn("user", codes=self._asked_codes(self._pick(exchange.questions)))
        if pairing[-1] == "s":
            said = Turn(
                "assistant", codes=self._said_codes(self._pick(self._answers[exchange.answer]))
            )
        return asked, said

    def _said_codes(self, said: Spoken) -> list[int]:
        """Codes of a rendition, some with the beginning of another one."""
        codes = said.codes
        if said.is_assistant and self._random.random() < self._p.splice_share:
            codes = self._splicer.splice(said, self._random)
        return [int(code) for code in codes]

    def _asked_codes(self, asked: Spoken) -> list[int]:
        """Codes of a question, sometimes with stray words between its own."""
        stray = self._random.random() < self._p.filler_share
        return self._in_a_tempo(self._fillers.insert(asked, self._random) if stray else asked.codes)

    def _in_a_tempo(self, codes_N: Codes) -> list[int]:
        """Codes of what is heard, some dropped and some doubled: other tempi."""
        times = np.ones(len(codes_N), np.int64)
        changed = self._random.random(len(codes_N)) < self._p.tempo_jitter
        times[changed] = self._random.choice((0, 2), int(changed.sum()))
        codes: list[int] = np.repeat(codes_N, times).tolist()
        return codes or [int(code) for code in codes_N]

    def _spans(self, spoken: Spoken) -> list[str | list[int]]:
        """Runs of words of an utterance, typed and spoken in turn; spoken ones touch."""
        spans: list[str | list[int]] = []
        typed, first = bool(self._random.integers(2)), 0
        while first < len(spoken.words):
            last = first + int(self._random.integers(1, _MAX_SPAN_WORDS + 1))
            run, following = spoken.words[first:last], spoken.words[last : last + 1]
            start = spoken.words[first].start_code if first else 0
            end = following[0].start_code if following else len(spoken.codes)
            if typed or end <= start:
                spans.append(" " * bool(first) + " ".join(w.word for w in run))
            else:
                spans.append(spoken.codes[start:end].tolist())
            typed, first = not typed, last
        return spans

    def _without_some_ends(self, sequence: GridSequence) -> GridSequence:
        """Drop most targets for the turn's end after speech, so that the text tail can rest."""
        ids = self._config.ids
        text_T, audio_T = sequence.rows_TC.T
        ends_T = (text_T == ids.modality_pad) & (audio_T == ids.eosp)
        ends_T &= sequence.targets_TC[:, 0] == ids.im_end
        if not ends_T.any() or self._random.random() < self._p.end_share:
            return sequence
        targets_TC = sequence.targets_TC.copy()
        targets_TC[ends_T, 0] = IGNORE
        return GridSequence(sequence.rows_TC, targets_TC, sequence.n_prefix)
