"""Questions in, answers out: a whole model behind one object that knows nothing of HTTP.

Not safe for use by several threads at once. Shapes: S samples.
"""

import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from moss_speech.audio import Samples, resample
from moss_speech.bundle import Bundle
from moss_speech.inference.observer import SILENT, Observer
from moss_speech.inference.prompts import prompt_of, read_turn
from moss_speech.inference.questions import LIMITS, Limits, check_question, check_speech
from moss_speech.inference.replies import Clock, reply_of
from moss_speech.inference.scheduler import Scheduler, Space
from moss_speech.inference.turns import (
    AudioDelta,
    Choices,
    Conversation,
    Event,
    Finished,
    LiveEvent,
    Output,
    QuestionError,
    Refused,
    Reply,
    TextDelta,
    Turn,
    Wish,
)
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.slots import EAGER, Decoding
from moss_speech.lm.stream import generate

_BATCH = 32
"""Conversations that are answered side by side."""


@dataclass(frozen=True)
class Engine:
    """What is known of one bundle, and answers from it, one after another or in batches."""

    bundle: Bundle
    limits: Limits = LIMITS
    decoding: Decoding = EAGER
    """How single answers are computed; batches are always eager, as their shapes change."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices; the first is the default."""
        return tuple(self.bundle.voices)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of spoken answers."""
        return self.bundle.decoder.format.sample_rate_hz

    @property
    def listening_rate_hz(self) -> int:
        """Rate at which the codec hears; other rates are resampled to it."""
        return self.bundle.codec.config.audio_format.sample_rate_hz

    @property
    def code_ms(self) -> float:
        """Milliseconds of speech that a code stands for."""
        return 1000 / self.bundle.decoder.format.codes_per_s

    @property
    def codec_digest(self) -> str:
        """Whose codes the model hears and speaks."""
        return self.bundle.codec.digest

    @property
    def sampling(self) -> Sampling:
        """How the bundle wants answers to be drawn."""
        values = self.bundle.card.about.generation.model_dump(exclude={"max_rows"})
        return Sampling(**values)

    @property
    def max_rows(self) -> int:
        """Rows that an answer may have when nothing is said of it."""
        return self.bundle.card.about.generation.max_rows

    @property
    def lineage(self) -> dict[str, Any]:
        """What the model was made of: digests of its inputs and its licence."""
        about = self.bundle.card.about
        return {"name": about.name, "licence": about.licence, "parents": about.parents}

    def scheduler(self, space: Space, observer: Observer = SILENT) -> Scheduler:
        """A place for many live conversations."""
        return Scheduler(
            self.bundle, space, limits=self.limits, decoding=self.decoding, observer=observer
        )

    def wish(self, output: Output = "audio", **choices: Unpack[Choices]) -> Wish:
        """A wish for an answer; `QuestionError` for a voice that there is not."""
        name, seed = choices.get("voice") or self.voices[0], choices.get("seed")
        if name not in self.bundle.voices:
            allowed = ", ".join(self.voices)
            raise QuestionError("unknown_voice", f"voice is {name!r}, must be one of {allowed}")
        return Wish(
            output,
            choices.get("sampling", self.sampling),
            secrets.randbits(63) if seed is None else seed,
            choices.get("max_rows") or self.max_rows,
            name,
        )

    @cached_property
    def _alone(self) -> Scheduler:
        return self.scheduler(Space(sessions=1, rows=self.bundle.lm.config.max_position_embeddings))

    def stream(
        self, turns: Conversation, output: Output = "audio", **choices: Unpack[Choices]
    ) -> Iterator[Event]:
        """Answer piece by piece; equal arguments with a seed give equal answers.

        Raises `QuestionError` for a turn that cannot be answered.
        """
        clock = Clock()
        wish = replace(self.wish(output, **choices), live=False)
        heard = self._hear([turns], check_speech_too=True)[0]
        heard_s, events = clock.elapsed_s(), deque[LiveEvent]()
        session = self._alone.open(events.append)
        try:
            session.respond(heard, wish)
            while True:
                while not events:
                    self._alone.tick()
                event = events.popleft()
                if isinstance(event, Refused):
                    raise QuestionError(event.code, event.message)
                if isinstance(event, Finished):
                    timings = event.reply.timings
                    yield Finished(event.reply.at(timings.after(heard_s)))
                    return
                assert isinstance(event, TextDelta | AudioDelta)
                yield event
        finally:
            session.close()
            self._alone.tick()

    def reply(
        self, turns: Conversation, output: Output = "audio", **choices: Unpack[Choices]
    ) -> Reply:
        """The whole answer, as `stream` gives it in pieces."""
        *_, last = self.stream(turns, output, **choices)
        assert isinstance(last, Finished)
        return last.reply

    def reply_batch(
        self,
        conversations: Sequence[Conversation],
        output: Output = "audio",
        **choices: Unpack[Choices],
    ) -> list[Reply]:
        """Answer many conversations side by side, each with the same seed (0 if not given).

        Recordings are taken as they are: whether somebody speaks in them is not asked.
        The timings of each reply are those of the batch it was answered in.
        """
        choices.setdefault("seed", 0)
        wish = self.wish(output, **choices)
        replies: list[Reply] = []
        for start in range(0, len(conversations), _BATCH):
            replies += self._answer_batch(conversations[start : start + _BATCH], wish)
        return replies

    def _answer_batch(self, conversations: Sequence[Conversation], wish: Wish) -> list[Reply]:
        clock, bundle = Clock(), self.bundle
        capacity = bundle.lm.config.max_position_embeddings
        heard = [[read_turn(bundle, turn) for turn in turns] for turns in self._hear(conversations)]
        clock.heard_s = clock.elapsed_s()
        prompts = [prompt_of(bundle, turns, wish.output, capacity) for turns in heard]
        rows = min(wish.max_rows, *(capacity - len(prompt_TC) for prompt_TC in prompts))
        made = generate(bundle.lm, prompts, wish.sampling, [wish.seed] * len(prompts), rows)
        said = [self._say(one.codes, wish) for one in made]
        clock.first()
        timings = clock.timings()
        return [
            reply_of(bundle, wish.output, prompt_TC, one, audio_S, timings)
            for prompt_TC, one, audio_S in zip(prompts, made, said, strict=True)
        ]

    def _say(self, codes: Sequence[int], wish: Wish) -> Samples:
        if wish.output == "text" or not codes:
            return np.zeros(0, np.float32)
        return self.bundle.decoder.decode(codes, self.bundle.voices[wish.voice])

    def _hear(
        self, conversations: Sequence[Conversation], check_speech_too: bool = False
    ) -> list[list[Turn]]:
        """Every turn as text or codes; all audio is encoded in one go."""
        spoken = [t for turns in conversations for t in turns if t.audio is not None]
        audio = [self._listen(t) for t in spoken]
        if check_speech_too:
            for samples_S in audio:
                check_speech(samples_S, self.limits)
        codes = iter(self.bundle.codec.encode(audio))
        return [
            [t if t.audio is None else Turn(t.role, codes=tuple(next(codes))) for t in turns]
            for turns in conversations
        ]

    def _listen(self, turn: Turn) -> Samples:
        assert turn.audio is not None
        assert turn.sample_rate_hz is not None
        check_question(turn.audio, turn.sample_rate_hz, self.limits)
        return resample(turn.audio, turn.sample_rate_hz, self.listening_rate_hz)
