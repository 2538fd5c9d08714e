"""Drawing training sequences: dialogues, dictation, reading, interleaved speech, speech alone."""

from collections.abc import Iterator, Sequence, Sized
from typing import Literal, NamedTuple, get_args

import numpy as np

from moss_speech.corpus.packing.material import (
    Codes,
    Conversation,
    Material,
    Origin,
    Pairing,
    Reading,
    Spoken,
)
from moss_speech.corpus.packing.pieces import interleave
from moss_speech.corpus.packing.pool import Pool, check_shares
from moss_speech.corpus.packing.tell import Teller
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

Kind = Literal[Pairing, "asr", "tts", "interleave", "copy_text", "speech", "passage", "text"]
"""A dialogue in one of the four pairings; dictation; reading; both mixed; repeating; whole clips;
passages, partly spoken or all typed."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_Sources = Sequence[Spoken | Conversation | Reading]


class Drawn(NamedTuple):
    """A training sequence and where it comes from."""

    kind: Kind
    sequence: GridSequence
    origins: frozenset[Origin]
    voices: frozenset[str]
    """Speakers of the recordings in it; stray words between others' are not counted."""


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
        check_shares(material.everything, p)
        self._teller = Teller(material, p)
        spoken = [s for s in material.spoken if len(s.codes)]
        texts = {s.text: s for s in reversed(material.spoken)}
        clips = [*material.wordless, *(spoken if p.speech_from == "all" else ())]
        self._spoken = Pool(spoken, p)
        self._read = Pool([s for s in spoken if s.is_assistant or not p.assistant_reads], p)
        self._texts = Pool([texts[text] for text in sorted(texts)], p)
        self._aligned = Pool([s for s in spoken if len(s.words) > 1], p)
        self._clips = Pool([s for s in clips if len(s.codes)], p)
        self._readings = Pool(material.readings, p)
        self._read_aloud = Pool([r for r in material.readings if r.is_spoken], p)
        shares = np.array([getattr(p.mixture, kind) for kind in KINDS])
        self._ends = np.cumsum(shares) / np.cumsum(shares)[-1]
        self._check()

    def _check(self) -> None:
        pools: dict[Kind, Sized] = {
            "t2t": self._teller.pools["t2t"],
            "s2t": self._teller.pools["s2t"],
            "t2s": self._teller.pools["t2s"],
            "s2s": self._teller.pools["s2s"],
            "asr": self._spoken,
            "tts": self._read,
            "interleave": self._aligned,
            "copy_text": self._texts,
            "speech": self._clips,
            "passage": self._read_aloud,
            "text": self._readings,
        }
        for kind in KINDS:
            share = getattr(self._p.mixture, kind)
            if share > 0 and not len(pools[kind]):
                allowed = "must be 0: the corpus has nothing for it"
                raise ValueError(f"mixture.{kind} is {share}, {allowed}")

    def __iter__(self) -> Iterator[Drawn]:
        """Yield sequences without end."""
        while True:
            place = np.searchsorted(self._ends, self._random.random(), side="right")
            kind = KINDS[int(place)]
            sequence, sources, heard = self._draw(kind)
            yield Drawn(
                kind,
                self._without_some_ends(sequence),
                frozenset(source.origin for source in sources),
                frozenset(s.speaker for s in heard),
            )

    def _draw(self, kind: Kind) -> tuple[GridSequence, _Sources, Sequence[Spoken]]:
        """A sequence, what it is made from, and the recordings that are heard in it."""
        match kind:
            case "asr":
                one = self._spoken.pick(self._random)
                codes = self._teller.in_a_tempo(one.codes, self._random)
                return self._repeat(Turn("user", codes=codes), one.text), [one], [one]
            case "tts":
                one = self._read.pick(self._random)
                codes = self._teller.said_codes(one, self._random)
                return self._repeat(Turn("user", text=one.text), codes), [one], [one]
            case "copy_text":
                one = self._texts.pick(self._random)
                return self._repeat(Turn("user", text=one.text), one.text), [one], []
            case "interleave":
                one = self._aligned.pick(self._random)
                return self._row(interleave(one, self._p.pieces, self._random)), [one], [one]
            case "speech":
                one = self._clips.pick(self._random)
                return self._row([one.codes]), [one], [one]
            case "passage":
                reading = self._read_aloud.pick(self._random)
                return self._row(reading.runs()), [reading], reading.spoken
            case "text":
                reading = self._readings.pick(self._random)
                return self._row([reading.text]), [reading], []
            case _:
                turns, told, heard = self._teller.tell(kind, self._random)
                return training_sequence(turns, self._tokenizer, self._config), told, heard

    def _row(self, pieces: Sequence[str | Codes]) -> GridSequence:
        return interleaved_sequence(pieces, self._tokenizer, self._config)

    def _repeat(self, asked: Turn, answer: str | Codes) -> GridSequence:
        if isinstance(answer, str):
            turns = [Turn("system", REPEAT["text"]), asked, Turn("assistant", answer)]
        else:
            reply = Turn("assistant", codes=answer)
            turns = [Turn("system", REPEAT["audio"]), asked, reply]
        return training_sequence(turns, self._tokenizer, self._config)

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
