"""The embedded source: plans every line of the synthesised domain and its dialogues.

Planning is pure: equal params and seed give equal lines. Rendering them is `render.py`.
"""

import dataclasses
from collections.abc import Iterator
from itertools import cycle

import numpy as np

from moss_speech.corpus.items import Dialogue, Role, Split, Turn
from moss_speech.corpus.sources.cast import ASSISTANT, UNSEEN, CastVoice, users
from moss_speech.corpus.sources.domain import SALAD_WORDS, TEXT_ONLY, Fact, facts_of
from moss_speech.corpus.sources.lines import FLAWS, Line, Scene
from moss_speech.params.corpus import Embedded
from moss_speech.speech.voices.base import Manner

ASSISTANT_LEVEL_DB = -23.0
SALAD_LENGTHS = (2, 6)
REPEAT_LENGTHS = (2, 3)
WRONG_TRANSCRIPT = "no"
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


@dataclasses.dataclass(frozen=True)
class Plan:
    """All lines to be spoken and the dialogues made of them."""

    lines: list[Line]
    dialogues: list[Dialogue]


def plan_embedded(p: Embedded, seed: int) -> Plan:
    """Everything the embedded source says."""
    return _Planner(p, seed).plan()


class _Planner:
    def __init__(self, p: Embedded, seed: int) -> None:
        self.p = p
        self.random = np.random.default_rng([seed, 1])
        self.facts = facts_of(list(p.categories))
        self.cast = {split: cycle(self._shuffled(users(split))) for split in SPLITS}
        self.lines: list[Line] = []
        self.counts: dict[str, int] = {}

    def plan(self) -> Plan:
        dialogues = [d for fact in self.facts for d in self._fact_dialogues(fact)]
        dialogues += self._repeat_dialogues()
        self._salad()
        self._unseen_synthesizer()
        dialogues = self._with_questions(dialogues)
        self._flawed()
        return Plan(self.lines, dialogues)

    # One line at a time

    def _shuffled(self, voices: list[CastVoice]) -> list[CastVoice]:
        return [voices[i] for i in self.random.permutation(len(voices))]

    def _between(self, bounds: list[float]) -> float:
        return round(float(self.random.uniform(bounds[0], bounds[1])), 3)

    def _new_id(self, stem: str) -> str:
        self.counts[stem] = self.counts.get(stem, -1) + 1
        return f"{stem}-{self.counts[stem]:03d}"

    def _scene(self) -> Scene:
        s = self.p.surroundings
        noisy = self.random.random() < s.noise_share
        return Scene(
            level_db=self._between(s.level_range_db),
            noise_tilt=self._between([0.0, 2.0]),
            snr_db=self._between(s.snr_range_db) if noisy else None,
            pause_before_s=self._between(s.pause_range_s),
            pause_after_s=self._between(s.pause_range_s),
        )

    def _throat(self, voice: CastVoice, split: Split) -> float:
        varied = voice.synthesizer == "flite" and split == "train"
        return self._between(self.p.surroundings.throat_range) if varied else 1.0

    def _user(
        self,
        stem: str,
        text: str,
        role: Role,
        voice: CastVoice,
        splits: tuple[Split, Split],
        tags: dict[str, str],
    ) -> str:
        """Plan one clip of a user's voice; `splits` are those of voice and text."""
        s = self.p.surroundings
        line = Line(
            id=self._new_id(stem),
            text=text,
            synthesizer=voice.synthesizer,
            voice=voice.voice(int(self.random.integers(1 << 16))),
            speaker=voice.speaker,
            role=role,
            voice_split=splits[0],
            text_split=splits[1],
            manner=Manner(self._between(s.rate_range), self._between(s.pitch_range)),
            throat=self._throat(voice, splits[0]),
            scene=self._scene(),
            seed=int(self.random.integers(1 << 31)),
            tags={**tags, "synthesizer": voice.synthesizer},
        )
        self.lines.append(line)
        return line.id

    def _assistant(
        self, stem: str, text: str, role: Role, split: Split, tags: dict[str, str]
    ) -> str:
        a = self.p.assistant
        line = Line(
            id=self._new_id(stem),
            text=text,
            synthesizer=ASSISTANT.synthesizer,
            voice=ASSISTANT.voice(0),
            speaker=ASSISTANT.speaker,
            role=role,
            voice_split="train",
            text_split=split,
            manner=Manner(self._between(a.rate_range), variety=a.variety),
            throat=1.0,
            scene=Scene(level_db=ASSISTANT_LEVEL_DB),
            seed=0,
            tags={**tags, "synthesizer": ASSISTANT.synthesizer},
        )
        self.lines.append(line)
        return line.id

    # Facts

    def _fact_dialogues(self, fact: Fact) -> Iterator[Dialogue]:
        taught = "text" if fact.id in TEXT_ONLY else "speech"
        answers = self._answers(fact)
        for wording, (split, question) in enumerate(fact.questions):
            tags = {
                "fact": fact.id,
                "wording": str(wording),
                "category": fact.category,
                "taught": taught,
                "answer_word": fact.answer_word,
                "novel_answer": str(fact.answer not in self._spoken_answers()).lower(),
            }
            self._ask(fact, wording, split, question, tags)
            if wording < self.p.assistant.wordings_read:
                stem = f"read-{fact.id}-w{wording}"
                self._assistant(stem, question, "question", split, {**tags, "read": "assistant"})
            turns = (Turn("user", question), Turn("assistant", fact.answer, answers))
            yield Dialogue(f"{fact.id}-w{wording}", split, turns, tags)

    def _spoken_answers(self) -> set[str]:
        return {f.answer for f in self.facts if f.id not in TEXT_ONLY}

    def _answers(self, fact: Fact) -> tuple[str, ...]:
        """Renditions of an answer; facts with the same answer share them.

        A sentence that belongs to text-only facts alone is never trained on.
        """
        stem = "answer-" + fact.answer.replace(" ", "_")
        known = tuple(line.id for line in self.lines if line.id.rsplit("-", 1)[0] == stem)
        if known:
            return known
        tags = {"answer_word": fact.answer_word}
        novel = fact.answer not in self._spoken_answers()
        a = self.p.assistant
        splits: list[Split] = ["train"] * (0 if novel else a.renditions)
        splits += [*["dev"] * a.held_out_renditions, *["test"] * a.held_out_renditions]  # type: ignore[list-item]
        return tuple(self._assistant(stem, fact.answer, "answer", s, tags) for s in splits)

    def _ask(self, fact: Fact, wording: int, split: Split, text: str, tags: dict[str, str]) -> None:
        """Plan the clips of one wording: by its split, voices of which splits ask it how often."""
        q = self.p.questions
        clips: dict[Split, dict[Split, int]] = {
            "train": {"train": q.train},
            "dev": {"train": q.dev_wording, "dev": q.dev_both},
            "test": {"train": q.test_wording, "test": q.test_both},
        }
        if split == "train":
            n_train_wordings = sum(s == "train" for s, _ in fact.questions)
            for held_out, per_fact in (("dev", q.dev_voice), ("test", q.test_voice)):
                shared = per_fact // n_train_wordings
                extra = (wording + len(fact.id)) % n_train_wordings < per_fact % n_train_wordings
                clips["train"][held_out] = shared + int(extra)  # type: ignore[index]
        for voice_split, count in clips[split].items():
            for _ in range(count):
                voice = next(self.cast[voice_split])
                stem = f"{fact.id}-w{wording}"
                self._user(stem, text, "question", voice, (voice_split, split), tags)

    def _with_questions(self, dialogues: list[Dialogue]) -> list[Dialogue]:
        """The dialogues with all planned clips of their question, the assistant's reading too."""
        asked: dict[str, list[str]] = {}
        for line in self.lines:
            if line.role == "question":
                asked.setdefault(line.text, []).append(line.id)
        done = []
        for dialogue in dialogues:
            user, assistant = dialogue.turns
            user = dataclasses.replace(user, utterances=tuple(asked.get(user.text, ())))
            done.append(dataclasses.replace(dialogue, turns=(user, assistant)))
        return done

    def _unseen_synthesizer(self) -> None:
        voices = cycle(UNSEEN)
        for number in range(self.p.questions.unseen_synthesizer):
            fact = self.facts[number % len(self.facts)]
            tests = [(w, q) for w, (split, q) in enumerate(fact.questions) if split == "test"]
            wording, text = tests[(number // len(self.facts) + number) % len(tests)]
            tags = {
                "fact": fact.id,
                "wording": str(wording),
                "category": fact.category,
                "taught": "text" if fact.id in TEXT_ONLY else "speech",
                "unseen_synthesizer": "true",
            }
            stem = f"{fact.id}-w{wording}"
            self._user(stem, text, "question", next(voices), ("test", "test"), tags)

    # Random strings

    def _string(self, lengths: tuple[int, int], domain_share: float) -> str:
        domain = sorted({w for f in self.facts for _, q in f.questions for w in q.split()})
        domain += sorted({w for f in self.facts for w in f.answer.split()})
        n_words = int(self.random.integers(lengths[0], lengths[1] + 1))
        pools = (SALAD_WORDS, domain)
        chosen = [pools[int(self.random.random() < domain_share)] for _ in range(n_words)]
        return " ".join(pool[int(self.random.integers(len(pool)))] for pool in chosen)

    def _salad(self) -> None:
        s = self.p.strings
        for split, count in zip(SPLITS, (s.salad_train, s.salad_dev, s.salad_test), strict=True):
            for _ in range(count):
                text = self._string(SALAD_LENGTHS, s.salad_domain_share)
                tags = {"category": "salad"}
                voice = next(self.cast[split])
                self._user(f"salad-{split}", text, "salad", voice, (split, split), tags)

    def _repeat_dialogues(self) -> list[Dialogue]:
        """Dialogues "repeat after me ...": no string of one split occurs in another."""
        s = self.p.strings
        dialogues, seen = [], set[str]()
        for split, count in zip(SPLITS, (s.repeat_train, s.repeat_dev, s.repeat_test), strict=True):
            for number in range(count):
                while (text := self._string(REPEAT_LENGTHS, s.salad_domain_share)) in seen:
                    pass
                seen.add(text)
                fact = f"repeat-{split}-{number:03d}"
                tags = {"fact": fact, "wording": "0", "category": "repeat", "taught": "speech"}
                question = f"repeat after me {text}"
                for _ in range(s.repeat_voices):
                    voice = next(self.cast[split])
                    self._user(fact, question, "question", voice, (split, split), tags)
                answer = self._assistant(f"answer-{fact}", text, "answer", split, tags)
                turns = (Turn("user", question), Turn("assistant", text, (answer,)))
                dialogues.append(Dialogue(f"{fact}-w0", split, turns, tags))
        return dialogues

    # Broken on purpose

    def _flawed(self) -> None:
        """Copies of training questions, each with one fault that cleaning must catch."""
        sound = [x for x in self.lines if x.role == "question" and x.synthesizer == "flite"]
        sound = [x for x in sound if x.voice_split == x.text_split == "train"]
        for number, flaw in enumerate(FLAWS * self.p.flawed_each):
            line = sound[number % len(sound)]
            written = {"empty_text": "", "wrong_transcript": WRONG_TRANSCRIPT}.get(flaw)
            self.lines.append(
                dataclasses.replace(
                    line,
                    id=f"flawed-{flaw}-{number:03d}",
                    written=written,
                    flaw=flaw,
                    tags={**line.tags, "flaw": flaw},
                )
            )
