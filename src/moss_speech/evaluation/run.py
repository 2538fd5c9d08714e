"""One evaluation: ask, listen, judge, count; everything it heard and decided is kept."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moss_speech.audio import Samples, mp3_bytes, write_audio
from moss_speech.bundle import Bundle
from moss_speech.codec.quantizer import code_use
from moss_speech.corpus.answers import KnownAnswers
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import Utterance, open_dialogues, open_utterances
from moss_speech.evaluation import material
from moss_speech.evaluation.answering import Ears, Latency, answer, time_answers
from moss_speech.evaluation.codec_scores import ANSWERS, PEOPLE, describe_measures
from moss_speech.evaluation.codec_trial import CODEC_ITEMS, CodecTrial
from moss_speech.evaluation.judges import Heard, Judges, describe
from moss_speech.evaluation.scores import Record, figures, retention
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import REPEAT_TITLES, Item, Suite
from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import Reply
from moss_speech.lm.load import load_lm
from moss_speech.params.evaluate import Evaluate
from moss_speech.records import report_progress
from moss_speech.speech.text import normalise
from moss_speech.storage import write_bytes, write_json, write_jsonl

FORMAT_VERSION = 2
_NOTHING = Heard("", "")


@dataclass(frozen=True)
class Inputs:
    """Folders that an evaluation reads."""

    corpus: Path
    clean: Path
    codes: Path
    backbone: Path
    frozen: Path
    bundle: Path

    @classmethod
    def of(cls, root: Path, bundle: Path) -> "Inputs":
        """The folders of a project root with a bundle from anywhere.

        Raises `ValueError` naming the folder that is absent.
        """
        data, models = root / "data", root / "models"
        inputs = cls(
            corpus=data / "corpus",
            clean=data / "clean",
            codes=data / "codes",
            backbone=models / "backbone",
            frozen=models / "lm-frozen",
            bundle=bundle,
        )
        for path in vars(inputs).values():
            if not path.is_dir():
                raise ValueError(f"{path} does not exist: run `make train` first")
        return inputs


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found; the report depends on the inputs only, speed on the machine."""

    report: dict[str, Any]
    latency: Latency | None
    codec_speed: dict[str, float]
    """Seconds of work for a second of sound, by what was done."""


def evaluate(inputs: Inputs, p: Evaluate, seed: int, out: Path) -> Outcome:
    """Evaluate a bundle; writes report.json, items.jsonl and audio/ into the folder `out`."""
    run = Run(inputs, p, seed)
    records, before = run.judged(), run.text_before()
    how = Sampling(p.resamples, p.confidence, seed)
    answers = run.suite.answers
    after = [r for r in records if r.item.cell == "t2t"]
    codec = CodecTrial(run.bundle, run.heard_twice(), answers, how)
    report = {
        "format_version": FORMAT_VERSION,
        **figures(records, answers, how),
        "text": {**retention(before, after, answers, how), **material.text_logits(inputs.frozen)},
        "tokenizer": run.tokenizer(how),
        "codec": codec.figures,
        "corpus": {
            "composition": material.composition(run.utterances.values()),
            "rejects": material.rejects(inputs.corpus, inputs.clean),
        },
        "answers": answers,
        "method": _method(p, seed, run.bundle),
    }
    write_json(out / "report.json", report)
    write_jsonl(out / "items.jsonl", [r.to_json() for r in (*records, *before)])
    write_jsonl(out / CODEC_ITEMS, [asdict(row) for row in codec.rows])
    (out / "audio").mkdir()
    for name, samples_S in (run.sounds | codec.sounds).items():
        write_audio(out / name, samples_S, run.engine.sample_rate_hz)
    for name, samples_S in run.asked.items():
        write_bytes(out / name, mp3_bytes(samples_S, run.engine.listening_rate_hz))
    return Outcome(report, run.latency(), codec.speed)


class Run:
    """The opened inputs of one evaluation and the sounds that it made."""

    def __init__(self, inputs: Inputs, p: Evaluate, seed: int) -> None:
        self._inputs, self._p = inputs, p
        self.bundle = Bundle.open(inputs.bundle)
        self.engine = Engine(self.bundle)
        self.utterances = open_utterances(inputs.clean)
        self.suite = Suite(self.utterances, open_dialogues(inputs.clean), seed)
        self.questions = self.suite.questions(p.items)
        self._repeats = self.suite.repeats(p.items.repeat) + self.suite.human(p.items.human)
        self._renditions = self.suite.renditions(p.items.renditions)
        self._repeat_renditions = self.suite.repeat_renditions(p.items.repeat)
        self._hearing = self.suite.hearing(p.items.tokenizer)
        self.sounds: dict[str, Samples] = {}
        """What the judges hear, by the name of its file."""
        self.asked: dict[str, Samples] = {}
        """Spoken questions, by the name of their file."""
        self.ears = self._listen()

    def judged(self) -> list[Record]:
        """Every item answered, heard by both judges, and compared with the known answers."""
        records = self._answered([*self.questions, *self._repeats])
        records += self._true_sounds("ceiling", self._renditions) + self._resynthesis()
        records += self._true_sounds("repeat_ceiling", self._repeat_renditions)
        spoken = [r for r in records if r.item.reply == "speech"]
        closed = [r for r in spoken if r.item.cell not in REPEAT_TITLES]
        strings = [r for r in spoken if r.item.cell in REPEAT_TITLES]
        heard = self._heard(closed, self.suite.answers)
        heard |= self._heard(strings, [r.item.expected for r in strings])
        nearest = self._nearest([r for r in closed if r.item.cell != "ceiling"])
        return [
            dataclasses.replace(r, **heard.get(r.item.id, {}), **nearest.get(r.item.id, {}))
            for r in records
        ]

    def heard_twice(self) -> dict[str, list[Utterance]]:
        """What goes through codec and decoder alone, by its group."""
        n = self._p.items.codec
        people = [i.utterance for i in self.suite.human(n)]
        found = {
            ANSWERS: self.suite.renditions(n),
            PEOPLE: [self.utterances[id] for id in people if id is not None],
        }
        return {group: utterances for group, utterances in found.items() if utterances}

    def text_before(self) -> list[Record]:
        """The typed questions, answered by the text backbone before it learnt speech."""
        backbone = dataclasses.replace(self.bundle, lm=load_lm(self._inputs.backbone))
        items = [
            dataclasses.replace(i, id=f"before/{i.id}", cell="t2t_before")
            for i in self.questions
            if i.cell == "t2t"
        ]
        replies = answer(Engine(backbone), items, self.ears, self._p.max_rows, report_progress)
        return [self._record(item, reply) for item, reply in zip(items, replies, strict=True)]

    def tokenizer(self, how: Sampling) -> dict[str, Any]:
        """Word errors of the read-out if there is one, use of the codes over the whole corpus."""
        codec, store = self.bundle.codec, CodeStore.open(self._inputs.codes)
        same = store.codec_digest == codec.digest
        codes = store.values() if same else self.ears.codes.values()
        rows = self._hearing if codec.readout is not None else {}
        found = {"word_error": material.hearing(codec, rows, self.ears.codes, how)}
        n_codes = codec.config.n_codes
        return found | {"n_codes": n_codes} | code_use(codes, n_codes)

    def latency(self) -> Latency | None:
        """Speed of single answers on this machine."""
        hardest = [i for i in self.questions if i.cell == "s2s"][: self._p.timed]
        rate_hz = self.engine.listening_rate_hz
        asked = [
            (self.utterances[i.utterance].read(rate_hz), rate_hz)
            for i in hardest
            if i.utterance is not None
        ]
        return time_answers(self.engine, asked, self._p.max_rows)

    def _listen(self) -> Ears:
        ids = [i.utterance for i in (*self.questions, *self._repeats) if i.utterance is not None]
        wanted = [self.utterances[id] for id in ids] + self._renditions
        wanted += [u for row in self._hearing.values() for u in row]
        return Ears.listen(self.bundle.codec, wanted, report_progress)

    def _answered(self, items: Sequence[Item]) -> list[Record]:
        replies = answer(self.engine, items, self.ears, self._p.max_rows, report_progress)
        return [self._record(item, reply) for item, reply in zip(items, replies, strict=True)]

    def _record(self, item: Item, reply: Reply) -> Record:
        return Record(
            item,
            text=normalise(reply.text),
            codes=reply.codes,
            audio=self._keep(reply.codes, reply.audio),
            question_audio=None if item.utterance is None else self._keep_question(item.utterance),
        )

    def _keep_question(self, utterance: str) -> str:
        """File a question as it was heard: a page of this run needs no corpus beside it."""
        name = f"audio/asked-{hashlib.sha256(utterance.encode()).hexdigest()[:16]}.mp3"
        if name not in self.asked:
            rate_hz = self.engine.listening_rate_hz
            self.asked[name] = self.utterances[utterance].read(rate_hz)
        return name

    def _keep(self, codes: Sequence[int], samples_S: Samples) -> str | None:
        """File a sound under the digest of its codes: equal answers are judged once."""
        if samples_S.size == 0:
            return None
        digest = hashlib.sha256(np.asarray(codes, np.int64).tobytes()).hexdigest()[:16]
        self.sounds.setdefault(name := f"audio/{digest}.flac", samples_S)
        return name

    def _true_sounds(self, cell: str, utterances: Sequence[Utterance]) -> list[Record]:
        """True renditions as they are: what the judges make of a perfect answer."""
        records = []
        for u in utterances:
            name = f"audio/true-{u.id}.flac"
            self.sounds[name] = u.read(self.engine.sample_rate_hz)
            records.append(Record(_rendition_item(cell, u), audio=name))
        return records

    def _resynthesis(self) -> list[Record]:
        """True renditions through codes and decoder, without the language model."""
        voice = self.bundle.voices[self.engine.voices[0]]
        records = []
        for u in self._renditions:
            codes = tuple(self.ears.codes[u.id].tolist())
            name = self._keep(codes, self.bundle.decoder.decode(codes, voice))
            records.append(Record(_rendition_item("resynthesis", u), codes=codes, audio=name))
        report_progress(len(records), len(records), "renditions decoded")
        return records

    def _heard(
        self, records: Sequence[Record], phrases: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """What both judges heard by item; nothing where nothing was said."""
        names = list(dict.fromkeys(r.audio for r in records if r.audio is not None))
        if not names:
            return {r.item.id: asdict(_NOTHING) for r in records}
        report_progress(0, len(names), "sounds judged")
        clips = [self.sounds[name] for name in names]
        found = Judges(phrases).hear(clips, self.engine.sample_rate_hz)
        report_progress(len(names), len(names), "sounds judged")
        heard = dict(zip(names, found, strict=True))
        return {r.item.id: asdict(heard.get(r.audio or "", _NOTHING)) for r in records}

    def _nearest(self, records: Sequence[Record]) -> dict[str, dict[str, Any]]:
        """The known answer that each item's codes resemble; none where no codes were said."""
        known = [
            u
            for u in self.utterances.values()
            if u.role == "answer" and u.for_training and u.text in self.suite.answers
        ]
        if not known:
            return {}
        store = CodeStore.open(self._inputs.codes)
        same = store.codec_digest == self.bundle.codec.digest
        codes = store if same else Ears.listen(self.bundle.codec, known, report_progress).codes
        answers = KnownAnswers([(u.text, codes[u.id]) for u in known])
        said = [r for r in records if r.codes]
        found = zip(said, answers.nearest([r.codes for r in said]), strict=True)
        near = {r.item.id: {"nearest": n.answer, "nearest_edits": n.edits} for r, n in found}
        return {r.item.id: near.get(r.item.id, {"nearest": ""}) for r in records}


def _rendition_item(cell: str, u: Utterance) -> Item:
    return Item(
        f"{cell}/{u.id}", cell, "speech", "speech", u.text, u.text, u.text, u.speaker, "", u.id
    )


def _method(p: Evaluate, seed: int, bundle: Bundle) -> dict[str, Any]:
    return {
        "bundle": bundle.digest,
        "seed": seed,
        "decoding": f"greedy, at most {p.max_rows} rows",
        "resamples": p.resamples,
        "confidence": p.confidence,
        "goals": p.goals,
        "judges": describe(),
        "measures": describe_measures(),
    }
