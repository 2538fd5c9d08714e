"""The kinds of sources and who reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moss_speech.corpus.sources.aishell1 import open_aishell1
from moss_speech.corpus.sources.audio_folder import open_folder
from moss_speech.corpus.sources.common_voice import open_common_voice
from moss_speech.corpus.sources.dialogue_files import open_dialogues
from moss_speech.corpus.sources.hugging_face import open_hugging_face
from moss_speech.corpus.sources.intake import Intake, Opened
from moss_speech.corpus.sources.lhotse_manifests import open_lhotse
from moss_speech.corpus.sources.librispeech import open_librispeech
from moss_speech.corpus.sources.manifests import Collected, Source
from moss_speech.corpus.sources.shar import open_shar
from moss_speech.corpus.sources.tar_shards import open_tar
from moss_speech.params.sources import AnySource, Declared, SplitShares

UNDECLARED = "undeclared"


READERS: dict[str, Callable[[Any, Intake], Opened]] = {
    "folder": open_folder,
    "librispeech": open_librispeech,
    "aishell1": open_aishell1,
    "common_voice": open_common_voice,
    "lhotse": open_lhotse,
    "shar": open_shar,
    "tar": open_tar,
    "huggingface": open_hugging_face,
    "dialogues": open_dialogues,
}


def terms_of(source: Declared, kind: str) -> Source:
    """On what terms a source comes."""
    return Source(
        name=source.name,
        licence=source.licence or UNDECLARED,
        consent=source.consent or UNDECLARED,
        redistribute=source.redistribute,
        kind=kind,
        undeclared=source.licence is None or source.consent is None,
    )


def open_source(source: AnySource, root: Path, shares: SplitShares, audio: Path) -> Collected:
    """A source of params.yaml, to be read as it is written; copied audio goes into `audio`."""
    opened = READERS[source.kind](source, Intake(source, root, shares, audio))
    return Collected(terms_of(source, source.kind), opened.items, opened.dialogues)
