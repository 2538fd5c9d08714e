"""Speech to words: Whisper and pocketsphinx, two families that share nothing.

Shapes: S samples at 16 kHz, M mel bands, F frames.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from moss_speech.assets import fetch
from moss_speech.audio import LISTENING, Samples
from moss_speech.params.clean import RecogniserName
from moss_speech.speech.text import normalise

MAX_WINDOW_S, WINDOW_STEP_S, WINDOW_MARGIN_S = 30, 2, 3
"""Whisper hears at most 30 s; a window is the clip and a margin, rounded up to whole steps."""
MAX_TOKENS_PER_S, MIN_TOKENS = 12, 12
BATCH_CLIPS = 16


class Recogniser(Protocol):
    """Clips in, normalised words out."""

    def transcribe(self, clips: Sequence[Samples]) -> list[str]:
        """Lower-case words of each clip of 16 kHz samples; empty where none are heard."""


class Whisper:
    """Whisper by CTranslate2, int8, greedy, of one language, windows as short as clips allow.

    A packaged one by its name, or the folder of a converted one. It writes timestamps, which are
    dropped: without them it repeats itself in short windows.
    """

    def __init__(
        self,
        model: Literal["whisper-base", "whisper-tiny.en"] | Path,
        threads: int = 1,
        language: str = "en",
    ) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        folder = str(model if isinstance(model, Path) else fetch(model))
        self._model: Any = WhisperModel(folder, compute_type="int8", cpu_threads=threads)
        multilingual = self._model.model.is_multilingual
        if language != "en" and not multilingual:
            raise ValueError(f"{model} hears English only, language is {language!r}")
        self._tokenizer: Any = Tokenizer(
            self._model.hf_tokenizer, multilingual, task="transcribe", language=language
        )

    def transcribe(self, clips: Sequence[Samples]) -> list[str]:
        """Words of each clip; clips above 30 s are heard in pieces of 30 s."""
        return [normalise(text) for text in self.write(clips)]

    def write(self, clips: Sequence[Samples]) -> list[str]:
        """What `transcribe` hears as Whisper writes it: with punctuation, case and digits."""
        size = MAX_WINDOW_S * LISTENING.sample_rate_hz
        pieces = [
            (index, start, clip[start : start + size])
            for index, clip in enumerate(clips)
            for start in range(0, max(len(clip), 1), size)
        ]
        by_length = sorted(pieces, key=lambda piece: len(piece[2]))
        heard: dict[tuple[int, int], str] = {}
        for start in range(0, len(pieces), BATCH_CLIPS):
            batch = by_length[start : start + BATCH_CLIPS]
            texts = self._hear([piece[2] for piece in batch])
            heard |= {piece[:2]: text for piece, text in zip(batch, texts, strict=True)}
        return [
            " ".join(heard[place] for place in sorted(heard) if place[0] == index).strip()
            for index in range(len(clips))
        ]

    def _features(self, clip: Samples, window_s: int) -> NDArray[np.float32]:
        n_samples = window_s * LISTENING.sample_rate_hz
        padded_S = np.pad(clip, (0, n_samples - len(clip)))
        features_MF = self._model.feature_extractor(padded_S, padding=0)
        return np.asarray(features_MF[:, : n_samples // LISTENING.hop_samples], np.float32)

    def languages(self, clips: Sequence[Samples]) -> list[dict[str, float]]:
        """Probability of each language in the first 30 s of each clip, by its ISO 639-1 code.

        `ValueError` if the model knows English alone.
        """
        if not self._model.model.is_multilingual:
            raise ValueError("this Whisper knows English alone; whisper-base tells languages")
        size = MAX_WINDOW_S * LISTENING.sample_rate_hz
        found = []
        for clip in clips:  # one by one: what a clip is said to be must not depend on the others
            encoded, _ = self._encode([clip[:size]])
            (ranked,) = self._model.model.detect_language(encoded)
            found.append({token.strip("<|>"): float(share) for token, share in ranked})
        return found

    def _encode(self, clips: list[Samples]) -> tuple[Any, float]:
        """What the encoder makes of clips in one window, and the length of the longest in s."""
        import ctranslate2

        longest_s = max(len(clip) for clip in clips) / LISTENING.sample_rate_hz
        steps = int(np.ceil((longest_s + WINDOW_MARGIN_S) / WINDOW_STEP_S))
        window_s = min(MAX_WINDOW_S, steps * WINDOW_STEP_S)
        features = np.stack([self._features(clip, window_s) for clip in clips])
        return self._model.model.encode(ctranslate2.StorageView.from_array(features)), longest_s

    def _hear(self, clips: list[Samples]) -> list[str]:
        encoded, longest_s = self._encode(clips)
        prompt = list(self._tokenizer.sot_sequence)
        results = self._model.model.generate(
            encoded,
            [prompt] * len(clips),
            beam_size=1,
            max_length=len(prompt) + MIN_TOKENS + int(MAX_TOKENS_PER_S * longest_s),
        )
        end = self._tokenizer.eot
        words = [[i for i in result.sequences_ids[0] if i < end] for result in results]
        return [self._tokenizer.decode(ids) for ids in words]


class _Sphinx:
    """pocketsphinx with its packaged English models."""

    def __init__(self, **options: Any) -> None:
        from pocketsphinx import Decoder

        self._decoder: Any = Decoder(loglevel="FATAL", cmn="batch", **options)

    def transcribe(self, clips: Sequence[Samples]) -> list[str]:
        """Words of each clip, each heard for itself."""
        return [self._hear(clip) for clip in clips]

    def _hear(self, clip_S: Samples) -> str:
        if len(clip_S) < LISTENING.window_samples:
            return ""
        self._decoder.start_utt()
        pcm = (np.clip(clip_S, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return "" if hypothesis is None else normalise(hypothesis.hypstr)


class SphinxFree(_Sphinx):
    """Free dictation with the packaged language model; weak, but of a family of its own."""


class SphinxGrammar(_Sphinx):
    """Chooses among phrases; `ValueError` for a word its dictionary lacks."""

    def __init__(self, phrases: Sequence[str]) -> None:
        super().__init__(lm=None)
        phrases = sorted({normalise(phrase) for phrase in phrases})
        if unknown := [w for p in phrases for w in p.split() if not self._knows(w)]:
            raise ValueError(f"pocketsphinx does not know the word {unknown[0]!r}")
        rule = " | ".join(phrases)
        self._decoder.add_jsgf_string("phrases", f"#JSGF V1.0; grammar p; public <p> = {rule} ;")
        self._decoder.activate_search("phrases")

    def _knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None


@cache
def open_recogniser(name: RecogniserName, language: str) -> Recogniser | None:
    """A recogniser of a language; None if it knows English alone and the language is another."""
    if name == "whisper-base":
        return Whisper(name, language=language)
    if language != "en":
        return None
    return SphinxFree() if name == "sphinx" else Whisper(name)
