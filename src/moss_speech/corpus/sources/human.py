"""Real human speech that a system package brings: a test of its own, never for training.

Clips of pocketsphinx-testdata: read book sentences, playing cards, a command. Not copied into
anything that is published (docs/reference/assets.md).
"""

import re
from pathlib import Path

import numpy as np

from moss_speech.audio import LISTENING, SPEAKING, Samples, read_audio, resample, write_audio
from moss_speech.corpus.sources.manifests import Collected, Item, Source
from moss_speech.speech.text import normalise

FOLDER = Path("/usr/share/pocketsphinx/test/data")
PACKAGE = "pocketsphinx-testdata"
SETS = {"librivox": "librivox/transcription", "cards": "cards/cards.transcription"}
COMMANDS = {"goforward.raw": "go forward ten meters"}
"""Headerless 16-bit files of 16 kHz."""
_LINE = re.compile(r"<s>(?P<text>.*)</s>\s*\((?P<name>[^)]+)\)")


def collect_human(audio: Path, folder: Path = FOLDER) -> Collected:
    """The packaged human clips, or none (said aloud) if the package is not installed."""
    source = Source(
        "human", f"BSD, apt package {PACKAGE}", "as published by CMU", False, kind="human"
    )
    if not folder.is_dir():
        print(f"no human test clips: apt-get install {PACKAGE}", flush=True)
        return Collected(source, [], [])
    clips = [*_recorded(folder), *_commands(folder)]
    items = [_item(name, speaker, text, clip, audio) for name, speaker, text, clip in clips]
    return Collected(source, items, [])


def _recorded(folder: Path) -> list[tuple[str, str, str, Samples]]:
    clips = []
    for speaker, table in SETS.items():
        path = folder / table
        for match in _LINE.finditer(path.read_text(encoding="utf-8")):
            clip = read_audio(path.parent / f"{match['name']}.wav", SPEAKING.sample_rate_hz)
            clips.append((match["name"], speaker, match["text"], clip))
    return clips


def _commands(folder: Path) -> list[tuple[str, str, str, Samples]]:
    clips = []
    for name, text in COMMANDS.items():
        pcm_S = np.frombuffer((folder / name).read_bytes(), dtype="<i2").astype(np.float32)
        clip = resample(
            pcm_S / np.float32(32768), LISTENING.sample_rate_hz, SPEAKING.sample_rate_hz
        )
        clips.append((Path(name).stem, "command", text, clip))
    return clips


def _item(name: str, speaker: str, text: str, clip: Samples, audio: Path) -> Item:
    item_id = f"human-{speaker}-{name[-4:].lstrip('-')}"
    write_audio(audio / f"{item_id}.flac", clip, SPEAKING.sample_rate_hz)
    return Item(
        id=item_id,
        file=f"{item_id}.flac",
        n_samples=len(clip),
        sample_rate_hz=SPEAKING.sample_rate_hz,
        text=normalise(text),
        speaker=f"human:{speaker}",
        role="human",
        voice_split="test",
        text_split="test",
        tags={"category": "human", "synthesizer": "person"},
    )
