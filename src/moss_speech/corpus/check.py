"""Would these recordings survive cleaning? Checks a folder before it enters a corpus."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.clean.measure import measure
from moss_speech.corpus.clean.verdicts import Reject, check_item
from moss_speech.corpus.items import Utterance
from moss_speech.corpus.sources.audio_folder import collect_folder
from moss_speech.corpus.sources.manifests import Item
from moss_speech.params.clean import Clean
from moss_speech.params.corpus import Folder


def check_folder(path: Path, p: Clean) -> Iterator[tuple[Utterance, Reject | None]]:
    """Import a folder as the stage corpus does and apply the cheap rules of the stage clean.

    Recordings without a transcript are written down by the recogniser. Raises `ValueError` for
    a folder, table or dialogue that could not be imported.
    """
    terms = {"licence": "unchecked", "consent": "unchecked", "speaker": "unchecked"}
    folder = Folder(path=path.name, split="train", **terms)
    with tempfile.TemporaryDirectory() as temporary:
        audio = Path(temporary)
        for item in collect_folder(folder, path.resolve().parent, audio).items:
            utterance = _utterance(item, audio)
            measured = measure(item.id, utterance.audio, utterance.duration_s, p.clip_level)
            yield utterance, check_item(utterance, measured, p)


def _utterance(item: Item, audio: Path) -> Utterance:
    return Utterance(
        id=item.id,
        audio=audio / item.file,
        duration_s=item.n_samples / item.sample_rate_hz,
        text=item.text,
        speaker=item.speaker,
        role=item.role,
        voice_split=item.voice_split,
        text_split=item.text_split,
        tags=item.tags,
    )
