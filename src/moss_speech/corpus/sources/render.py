"""Lines into audio files: speak, set the scene, spoil on purpose, write; in parallel processes.

Lines are cut into blocks by synthesiser; a block's noise seed depends on its place only, so the
result does not depend on how many processes share the work.
Shapes: S samples.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from moss_speech.audio import SPEAKING, Samples, resample, write_audio
from moss_speech.corpus.parallel import over_blocks
from moss_speech.corpus.sources.lines import Flaw, Line, Scene
from moss_speech.records import report_progress
from moss_speech.speech.voices.base import Synthesiser
from moss_speech.speech.voices.engines import open_synthesiser

BLOCK_LINES = {"espeak-ng": 100, "flite": 100, "piper": 32, "kokoro": 8}
"""Lines a block; every block opens its synthesiser anew."""
QUIET_DB, CLIP_GAIN = -75.0, 40.0
TRUNCATED_SHARE = 0.4


@dataclass(frozen=True)
class Block:
    """Lines of one synthesiser that are spoken one after the other."""

    seed: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Spoken:
    """A line whose audio file exists."""

    line: Line
    n_samples: int


def blocks_of(lines: list[Line], seed: int) -> list[Block]:
    """The lines in blocks, slow synthesisers first so that no process ends late."""
    slowest = list(reversed(BLOCK_LINES))
    ordered = sorted(lines, key=lambda x: (slowest.index(x.synthesizer), x.id))
    blocks: list[Block] = []
    for name, group in groupby(ordered, key=lambda x: x.synthesizer):
        same, size = list(group), BLOCK_LINES[name]
        for start in range(0, len(same), size):
            blocks.append(Block(seed * 100_003 + len(blocks), tuple(same[start : start + size])))
    return blocks


def rms_db(samples_S: Samples) -> float:
    """Root mean square in dB of full scale; about -200 for silence."""
    return float(10 * np.log10(np.mean(np.square(samples_S, dtype=np.float64)) + 1e-20))


def _noise(n_samples: int, tilt: float, random: np.random.Generator) -> Samples:
    """Noise of RMS 1 whose power falls as 1/f**tilt."""
    spectrum = np.fft.rfft(random.standard_normal(n_samples))
    hertz = np.fft.rfftfreq(n_samples, 1 / SPEAKING.sample_rate_hz)
    spectrum *= np.maximum(hertz, 50.0) ** (-tilt / 2)
    noise_S = np.fft.irfft(spectrum, n_samples)
    return np.asarray(noise_S / np.sqrt(np.mean(noise_S**2)), dtype=np.float32)


def set_scene(speech_S: Samples, scene: Scene, seed: int) -> Samples:
    """Speech at its level with pauses around it and noise behind it; peaks stay below 1."""
    rate_hz = SPEAKING.sample_rate_hz
    pauses = [int(s * rate_hz) for s in (scene.pause_before_s, scene.pause_after_s)]
    out_S = np.pad(speech_S * 10 ** ((scene.level_db - rms_db(speech_S)) / 20), pauses)
    if scene.snr_db is not None:
        noise_S = _noise(len(out_S), scene.noise_tilt, np.random.default_rng(seed))
        out_S = out_S + noise_S * 10 ** ((scene.level_db - scene.snr_db) / 20)
    peak = float(np.abs(out_S).max())
    return np.asarray(out_S * min(1.0, 0.99 / max(peak, 1e-9)), dtype=np.float32)


def with_throat(speech_S: Samples, throat: float) -> Samples:
    """Speech of a longer (deeper, slower) or shorter throat, in steps of 1/40."""
    rate_hz = SPEAKING.sample_rate_hz
    step_hz = rate_hz // 40
    return resample(speech_S, rate_hz, round(throat * rate_hz / step_hz) * step_hz)


def _spoil(samples_S: Samples, flaw: Flaw | None) -> Samples:
    match flaw:
        case "silent":
            return np.zeros_like(samples_S)
        case "clipped":
            return np.asarray(np.clip(samples_S * CLIP_GAIN, -1, 1), dtype=np.float32)
        case "quiet":
            gain_db = QUIET_DB - rms_db(samples_S)
            return np.asarray(samples_S * 10 ** (gain_db / 20), dtype=np.float32)
        case _:
            return samples_S


def _speak(line: Line, synthesiser: Synthesiser, folder: Path) -> Spoken:
    manner = replace(line.manner, rate=line.manner.rate * line.throat)
    speech_S = with_throat(synthesiser.say(line.text, line.voice, manner), line.throat)
    samples_S = _spoil(set_scene(speech_S, line.scene, line.seed), line.flaw)
    path = folder / f"{line.id}.flac"
    write_audio(path, samples_S, SPEAKING.sample_rate_hz)
    if line.flaw == "truncated":
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * TRUNCATED_SHARE)])
    return Spoken(line, len(samples_S))


def render_block(block: Block, folder: Path) -> list[Spoken]:
    """Speak one block into FLAC files of `folder`."""
    synthesiser = open_synthesiser(block.lines[0].synthesizer, block.seed)
    return [_speak(line, synthesiser, folder) for line in block.lines]


def render(lines: list[Line], folder: Path, seed: int, processes: int) -> list[Spoken]:
    """Speak all lines with that many processes; the result is in the order of `lines`."""
    done: dict[str, Spoken] = {}
    render_into = partial(render_block, folder=folder)
    for block in over_blocks(render_into, blocks_of(lines, seed), processes):
        done |= {spoken.line.id: spoken for spoken in block}
        report_progress(len(done), len(lines), f"clips, {block[0].line.synthesizer}")
    return [done[line.id] for line in lines]
