"""codec.html: the figures of codec and decoder, and every sound with players and spectrograms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moss_speech.audio import SPEAKING, read_audio
from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.codec_scores import GROUPS, Heard
from moss_speech.evaluation.codec_trial import CODEC_ITEMS
from moss_speech.evaluation.pages.render import render
from moss_speech.evaluation.pages.sounds import clip, spectrogram
from moss_speech.evaluation.passages import KINDS
from moss_speech.evaluation.scores import by_cell
from moss_speech.storage import read_json, read_jsonl

_METHOD = (
    ("word error", "Whisper-base writes freely; Sphinx chooses among all answers, of answers only"),
    ("likeness", "cosine with the voice’s prompt, speaker encoder ge2e; -1 to 1"),
    ("DNSMOS", "overall opinion without a reference, 1 to 5"),
    ("STOI, PESQ", "against the recording in step: same words, times and voice; 0 to 1, 1 to 4.64"),
    ("mel", "mean difference of the decoder’s log mel spectrum, in dB"),
    ("intervals", "bootstrap: whole texts and whole speakers drawn with replacement, both at once"),
)


def render_codec(folder: Path, spectrograms: int) -> str:
    """The page of the evaluation in `folder`; so many items of each group have spectrograms."""
    codec = read_json(folder / "report.json")["codec"]
    heard = [Heard(**row) for row in read_jsonl(folder / CODEC_ITEMS)]
    groups = by_cell(heard, lambda h: (h.group, h.voice))
    context = {
        "rates": codec["rates"],
        "rows": codec_rows(codec),
        "method_rows": _METHOD,
        "groups": [
            {"title": f"{GROUPS[g]}; {voice}", "examples": _examples(folder, rows, spectrograms)}
            for (g, voice), rows in groups.items()
        ],
    }
    return render("codec.html", context)


def _examples(folder: Path, rows: Sequence[Heard], spectrograms: int) -> list[Mapping[str, Any]]:
    return [
        {
            "text": of_item[0].text,
            "speaker": of_item[0].speaker,
            "heard": [_sound(folder, h, with_image=place < spectrograms) for h in of_item],
        }
        for place, of_item in enumerate(by_cell(rows, lambda h: h.id).values())
    ]


def _sound(folder: Path, heard: Heard, with_image: bool) -> Mapping[str, Any]:
    samples_S = read_audio(folder / heard.audio, SPEAKING.sample_rate_hz)
    return {
        "title": KINDS[heard.kind],
        "clip": clip(samples_S, SPEAKING.sample_rate_hz),
        "image": spectrogram(samples_S, SPEAKING.sample_rate_hz) if with_image else None,
        "words": heard.whisper,
        "similarity": heard.similarity,
        "quality": heard.quality,
    }
