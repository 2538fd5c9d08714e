"""What codec and decoder keep of speech: words, voice, sound; measured and averaged.

Word error, likeness to the voice and opinion score need no reference. STOI, PESQ and the mel
distance compare with the recording in step, so they exist where the recording is in the voice
that speaks: renditions of the assistant in its own voice.
Shapes: S samples, B both sounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import log, log2
from typing import Any

import torch

from moss_speech.assets import ASSETS
from moss_speech.audio import LISTENING, SPEAKING, AudioFormat, Samples, resample
from moss_speech.bundle import SpeechParts
from moss_speech.codec.quantizer import code_use
from moss_speech.decoder.mel import log_mel
from moss_speech.evaluation.judges import WHISPER
from moss_speech.evaluation.passages import Passage
from moss_speech.evaluation.scores import by_cell, word_errors
from moss_speech.evaluation.statistics import Sampling, mean, ratio
from moss_speech.speech.fidelity import has_pesq, pesq, stoi
from moss_speech.speech.ge2e import ge2e
from moss_speech.speech.quality import opinion
from moss_speech.speech.recognisers import Recogniser, SphinxGrammar, Whisper
from moss_speech.speech.speaker import similarity
from moss_speech.speech.text import normalise

ANSWERS, PEOPLE = "answers", "people"
GROUPS = {
    ANSWERS: "held-out renditions of answers, in the assistant’s voice",
    PEOPLE: "recordings of people",
}
MEASURES = ("similarity", "quality", "stoi", "pesq", "mel_distance")


@dataclass(frozen=True)
class Heard:
    """One sound, measured; None where a measure does not apply."""

    id: str
    group: str
    voice: str
    speaker: str
    text: str
    kind: str
    audio: str
    whisper: str
    sphinx: str | None
    similarity: float
    quality: float
    stoi: float | None = None
    pesq: float | None = None
    mel_distance: float | None = None


def mel_distance(reference_S: Samples, heard_S: Samples, format: AudioFormat) -> float:
    """Mean absolute difference of the log mel spectra in dB, as far as both sounds reach."""
    n_samples = min(reference_S.size, heard_S.size)
    both_BS = torch.stack([torch.from_numpy(s[:n_samples]) for s in (reference_S, heard_S)])
    reference, heard = log_mel(both_BS, format)
    return float((reference - heard).abs().mean()) * 20 / log(10)


def measure(passages: Sequence[Passage], parts: SpeechParts, answers: Sequence[str]) -> list[Heard]:
    """Every kind of every passage; `answers` is the closed list that Sphinx chooses from."""
    rate_hz = parts.decoder.format.sample_rate_hz
    whisper = _words(Whisper(WHISPER), passages, rate_hz)
    answered = [p for p in passages if p.group == ANSWERS]
    sphinx = _words(SphinxGrammar(answers), answered, rate_hz) if answered else {}
    prompts = {
        name: ge2e()(resample(voice.prompt, voice.prompt_hz, SPEAKING.sample_rate_hz))
        for name, voice in parts.voices.items()
    }
    own_voice = next(iter(parts.voices))
    return [
        Heard(
            id=passage.utterance.id,
            group=passage.group,
            voice=passage.voice,
            speaker=passage.utterance.speaker,
            text=normalise(passage.utterance.text),
            kind=kind,
            audio=(name := passage.file(kind)),
            whisper=whisper[name],
            sphinx=sphinx.get(name),
            similarity=similarity(ge2e()(_at(sound_S, rate_hz, SPEAKING)), prompts[passage.voice]),
            quality=opinion(_at(sound_S, rate_hz, LISTENING)).overall,
            **(_in_step(passage, kind, rate_hz) if own_voice == passage.voice else {}),
        )
        for passage in passages
        for kind, sound_S in passage.sounds.items()
    ]


def _at(samples_S: Samples, rate_hz: int, format: AudioFormat) -> Samples:
    return resample(samples_S, rate_hz, format.sample_rate_hz)


def _words(judge: Recogniser, passages: Sequence[Passage], rate_hz: int) -> dict[str, str]:
    """What a recogniser hears in every sound, by the sound's file."""
    files = {p.file(kind): sound_S for p in passages for kind, sound_S in p.sounds.items()}
    clips = [_at(sound_S, rate_hz, LISTENING) for sound_S in files.values()]
    return dict(zip(files, judge.transcribe(clips), strict=True))


def _in_step(passage: Passage, kind: str, rate_hz: int) -> dict[str, float | None]:
    """Measures that compare with the recording; none for other voices and for itself."""
    if passage.group != ANSWERS or kind == "truth":
        return {}
    true_S, heard_S = passage.sounds["truth"], passage.sounds[kind]
    at_16k = _at(true_S, rate_hz, LISTENING), _at(heard_S, rate_hz, LISTENING)
    return {
        "stoi": stoi(*at_16k),
        "pesq": pesq(*at_16k) if has_pesq() else None,
        "mel_distance": mel_distance(true_S, heard_S, SPEAKING),
    }


def figures(heard: Sequence[Heard], how: Sampling) -> dict[str, Any]:
    """Estimates by group, voice, kind and measure."""
    found: dict[str, Any] = {}
    for (group, voice, kind), rows in by_cell(heard, lambda h: (h.group, h.voice, h.kind)).items():
        cell: dict[str, Any] = {"word_error": _word_error(rows, how)}
        for name in MEASURES:
            if has := [h for h in rows if getattr(h, name) is not None]:
                cell[name] = mean([getattr(h, name) for h in has], _clusters(has), how).to_json()
        found.setdefault(group, {}).setdefault(voice, {})[kind] = cell
    return found


def _clusters(rows: Sequence[Heard]) -> list[list[str]]:
    return [[h.text for h in rows], [h.speaker for h in rows]]


def _word_error(rows: Sequence[Heard], how: Sampling) -> dict[str, Any]:
    """Word errors over words, both judges together where both heard, and each apart."""
    clusters = _clusters(rows)
    judges = [j for j in ("whisper", "sphinx") if getattr(rows[0], j) is not None]
    words = [len(h.text.split()) for h in rows]
    errors = {j: [word_errors(h.text, getattr(h, j)) for h in rows] for j in judges}
    both = [sum(pair) / len(judges) for pair in zip(*errors.values(), strict=True)]
    apart = {j: round(ratio(errors[j], words, clusters, how).value, 4) for j in judges}
    return ratio(both, words, clusters, how).to_json() | apart


def rates(parts: SpeechParts, passages: Sequence[Passage]) -> dict[str, float]:
    """Use of the codes in what was heard here, and bits a second: at most, and by that use."""
    n_codes, codes_per_s = parts.codec.config.n_codes, parts.decoder.format.codes_per_s
    use = code_use([p.codes for p in passages], n_codes)
    return {
        **use,
        "n_codes": n_codes,
        "codes_per_s": codes_per_s,
        "bits_per_s": round(codes_per_s * log2(n_codes), 1),
        "bits_per_s_used": round(codes_per_s * log2(max(use["perplexity"], 1.0)), 1),
    }


def describe_measures() -> dict[str, str]:
    """What measured sound, with versions; part of the report."""
    names = ("speechmos", "pystoi", *(["pesq"] if has_pesq() else []))
    return {name: version(name) for name in names} | {"speaker": ASSETS["ge2e"].revision}
