"""Questions in, answers out: a whole model behind one object that knows nothing of HTTP.

Not safe for use by several threads at once. Shapes: S samples.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from moss_speech.audio import Samples, resample
from moss_speech.bundle import Bundle
from moss_speech.inference.questions import LIMITS, Limits, check_question, check_speech
from moss_speech.inference.session import (
    Clock,
    Session,
    Wish,
    prompt_of,
    reply_of,
    rows_left,
)
from moss_speech.inference.turns import (
    Conversation,
    Event,
    Finished,
    Output,
    QuestionError,
    Reply,
    Turn,
)
from moss_speech.lm import grid
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.slots import EAGER, Decoding
from moss_speech.lm.stream import Room, generate
from moss_speech.speech.text import normalise

_BATCH = 32
"""Conversations that are answered side by side."""


@dataclass(frozen=True)
class Engine:
    """Answers with one bundle."""

    bundle: Bundle
    limits: Limits = LIMITS
    decoding: Decoding = EAGER
    """How single answers are computed; batches are always eager, as their shapes change."""

    @cached_property
    def _room(self) -> Room:
        return Room(self.bundle.lm, self.decoding)

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
    def sampling(self) -> Sampling:
        """How the bundle wants answers to be drawn."""
        values = self.bundle.card.about.generation.model_dump(exclude={"max_rows"})
        return Sampling(**values)

    @property
    def lineage(self) -> dict[str, Any]:
        """What the model was made of: digests of its inputs and its licence."""
        about = self.bundle.card.about
        return {"name": about.name, "licence": about.licence, "parents": about.parents}

    def stream(
        self,
        turns: Conversation,
        output: Output = "audio",
        *,
        sampling: Sampling | None = None,
        seed: int | None = None,
        max_rows: int | None = None,
        voice: str | None = None,
    ) -> Iterator[Event]:
        """Answer piece by piece; equal arguments with a seed give equal answers.

        Raises `QuestionError` for a turn that cannot be answered.
        """
        clock = Clock()
        wish = self._wish(output, sampling, seed, max_rows, voice)
        heard = self._hear([turns], check_speech_too=True)[0]
        session = Session(self.bundle, self._room, heard)
        clock.heard_s = clock.elapsed_s()
        yield from session.answer(wish, clock)

    def reply(
        self,
        turns: Conversation,
        output: Output = "audio",
        *,
        sampling: Sampling | None = None,
        seed: int | None = None,
        max_rows: int | None = None,
        voice: str | None = None,
    ) -> Reply:
        """The whole answer, as `stream` gives it in pieces."""
        events = self.stream(
            turns, output, sampling=sampling, seed=seed, max_rows=max_rows, voice=voice
        )
        *_, last = events
        assert isinstance(last, Finished)
        return last.reply

    def reply_batch(
        self,
        conversations: Sequence[Conversation],
        output: Output = "audio",
        *,
        sampling: Sampling | None = None,
        seed: int = 0,
        max_rows: int | None = None,
        voice: str | None = None,
    ) -> list[Reply]:
        """Answer many conversations side by side, each with the same seed.

        Recordings are taken as they are: whether somebody speaks in them is not asked.
        The timings of each reply are those of the batch it was answered in.
        """
        wish = self._wish(output, sampling, seed, max_rows, voice)
        replies: list[Reply] = []
        for start in range(0, len(conversations), _BATCH):
            replies += self._answer_batch(conversations[start : start + _BATCH], wish)
        return replies

    def _answer_batch(self, conversations: Sequence[Conversation], wish: Wish) -> list[Reply]:
        clock = Clock()
        heard = self._hear(conversations)
        clock.heard_s = clock.elapsed_s()
        prompts = [prompt_of(self.bundle, turns, wish.output) for turns in heard]
        rows = min(rows_left(self.bundle, wish, prompt) for prompt in prompts)
        seeds = [wish.seed] * len(prompts)
        made = generate(self.bundle.lm, prompts, wish.sampling, seeds, rows)
        replies = [
            reply_of(self.bundle, wish, prompt, one, self._say(one.codes, wish))
            for prompt, one in zip(prompts, made, strict=True)
        ]
        clock.first()
        return [reply.at(clock.timings()) for reply in replies]

    def _say(self, codes: Sequence[int], wish: Wish) -> Samples:
        if wish.output == "text" or not codes:
            return np.zeros(0, np.float32)
        return self.bundle.decoder.decode(codes, wish.voice)

    def _wish(
        self,
        output: Output,
        sampling: Sampling | None,
        seed: int | None,
        max_rows: int | None,
        voice: str | None,
    ) -> Wish:
        name = voice or self.voices[0]
        if name not in self.bundle.voices:
            allowed = ", ".join(self.voices)
            raise QuestionError("unknown_voice", f"voice is {name!r}, must be one of {allowed}")
        return Wish(
            output,
            sampling or self.sampling,
            secrets.randbits(63) if seed is None else seed,
            max_rows or self.bundle.card.about.generation.max_rows,
            self.bundle.voices[name],
        )

    def _hear(
        self, conversations: Sequence[Conversation], check_speech_too: bool = False
    ) -> list[list[grid.Turn]]:
        """Every turn as text or codes; all audio is encoded in one go."""
        spoken = [t for turns in conversations for t in turns if t.audio is not None]
        audio = [self._listen(t) for t in spoken]
        if check_speech_too:
            for samples_S in audio:
                check_speech(samples_S, self.limits)
        codes = iter(self.bundle.codec.encode(audio))
        return [
            [
                grid.Turn(t.role, codes=next(codes).tolist())
                if t.audio is not None
                else self._read(t)
                for t in turns
            ]
            for turns in conversations
        ]

    def _listen(self, turn: Turn) -> Samples:
        assert turn.audio is not None
        assert turn.sample_rate_hz is not None
        check_question(turn.audio, turn.sample_rate_hz, self.limits)
        return resample(turn.audio, turn.sample_rate_hz, self.listening_rate_hz)

    def _read(self, turn: Turn) -> grid.Turn:
        """A turn that needs no hearing; what people typed is brought to the corpus's form."""
        if turn.text is None:
            return grid.Turn(turn.role, codes=turn.codes)
        plain = self.bundle.card.about.normalise_text and turn.role != "system"
        text = normalise(turn.text) if plain else turn.text.strip()
        if not text:
            raise QuestionError("empty_text", f"a {turn.role} turn holds no word, must hold one")
        return grid.Turn(turn.role, text=text)
