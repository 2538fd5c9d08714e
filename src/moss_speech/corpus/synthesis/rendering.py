"""Lines into audio that a recogniser has heard, in blocks that are kept.

A block is whole or absent and named by all that decides it, so a run that was killed goes on
where it was, and its audio has the bytes of an unbroken run: a synthesiser's noise depends on
the place in the block alone.
"""

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np

from moss_speech.audio import LISTENING, SPEAKING, Samples, resample, write_audio
from moss_speech.corpus.parallel import over_blocks
from moss_speech.corpus.sources import render as scenes
from moss_speech.corpus.sources.lines import Line
from moss_speech.params.synthesis import RecogniserName
from moss_speech.records import report_progress
from moss_speech.speech import voices
from moss_speech.speech.endpoint import RefusedError
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.voices.base import Synthesiser
from moss_speech.speech.voices.engines import open_synthesiser
from moss_speech.storage import fresh_dir, read_json, write_json

_BLOCK_LINES = 32
_SHORTEST_S = 0.2
"""Of a spoken line; a synthesiser that says less has said nothing."""
_HEARD = "heard.json"


@dataclass(frozen=True)
class Block:
    """Lines of one synthesiser that are spoken one after the other, and who listens."""

    seed: int
    recogniser: RecogniserName
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """All that decides its audio."""
        content = f"{_code_digest()} {self.seed} {self.recogniser} {self.lines!r}"
        return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Rendered:
    """A spoken line: its file, and the words that were heard in it."""

    line: Line
    path: Path
    n_samples: int
    heard: str


@cache
def _code_digest() -> str:
    """What speaks: a change of it makes kept blocks stale."""
    folder = Path(voices.__path__[0])
    parts = [f"{p.name} {p.read_text()}" for p in sorted(folder.glob("*.py"))]
    parts.append(Path(scenes.__file__).read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def render_kept(
    lines: Sequence[Line], kept: Path, seed: int, recogniser: RecogniserName, processes: int
) -> Iterator[Rendered]:
    """Speak and hear all lines; those that a synthesiser could not say are absent.

    Raises `ValueError` for a voice that a synthesiser does not have, `EndpointError` for a
    service that does not answer.
    """
    blocks = _blocks(lines, seed, recogniser)
    todo = [block for block in blocks if not (kept / block.name).is_dir()]
    done = len(blocks) - len(todo)
    for _ in over_blocks(partial(_render, kept=kept), todo, processes):
        report_progress(done := done + 1, len(blocks), "blocks of speech made")
    for block in blocks:
        yield from _read(block, kept / block.name)


def _blocks(lines: Sequence[Line], seed: int, recogniser: RecogniserName) -> list[Block]:
    """Lines by synthesiser; their order within it is that of the source."""
    ordered = sorted(lines, key=lambda x: x.synthesizer)
    return [
        Block(seed, recogniser, tuple(same[start : start + _BLOCK_LINES]))
        for same in (list(group) for _, group in groupby(ordered, key=lambda x: x.synthesizer))
        for start in range(0, len(same), _BLOCK_LINES)
    ]


def _read(block: Block, folder: Path) -> Iterator[Rendered]:
    heard = read_json(folder / _HEARD)
    for line in block.lines:
        if line.id in heard:
            words, n_samples = heard[line.id]
            yield Rendered(line, folder / f"{line.id}.flac", n_samples, words)


def _render(block: Block, kept: Path) -> None:
    synthesiser = open_synthesiser(block.lines[0].synthesizer, _seed_of(block))
    listener = Whisper(block.recogniser)
    with fresh_dir(kept / block.name) as folder:
        clips = {}
        for line in block.lines:
            samples_S = _say(line, synthesiser)
            if samples_S is not None:
                write_audio(folder / f"{line.id}.flac", samples_S, SPEAKING.sample_rate_hz)
                clips[line.id] = samples_S
        rates_hz = SPEAKING.sample_rate_hz, LISTENING.sample_rate_hz
        words = listener.transcribe([resample(clip, *rates_hz) for clip in clips.values()])
        heard = {id_: [w, len(clips[id_])] for id_, w in zip(clips, words, strict=True)}
        write_json(folder / _HEARD, heard)


def _seed_of(block: Block) -> int:
    return int(block.name[:7], 16)


def _say(line: Line, synthesiser: Synthesiser) -> Samples | None:
    """Its speech in its scene; None if nothing came of this text."""
    try:
        speech_S = synthesiser.say(line.text, line.voice, line.manner)
    except (RuntimeError, RefusedError, subprocess.TimeoutExpired):
        return None
    if len(speech_S) < _SHORTEST_S * SPEAKING.sample_rate_hz or not np.any(speech_S):
        return None
    return scenes.set_scene(speech_S, line.scene, line.seed)
