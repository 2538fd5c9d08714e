"""The kinds of sources and who reads them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from moss_speech.corpus.items import Dialogue
from moss_speech.corpus.sources.audio_folder import AudioFolder
from moss_speech.corpus.sources.intake import Intake
from moss_speech.corpus.sources.manifests import Collected, Item, Quarantined, Source
from moss_speech.params.sources import AnySource, Declared, SplitShares

UNDECLARED = "undeclared"


class Reader(Protocol):
    """Reads one source; `dialogues` is asked for after `items` has ended."""

    def items(self) -> Iterable[Item | Quarantined]:
        """Utterances, and what none can be made of."""
        ...

    def dialogues(self) -> Iterable[Dialogue]:
        """Dialogues of these utterances, if there are any."""
        ...


READERS: dict[str, Callable[[Any, Intake], Reader]] = {
    "folder": AudioFolder,
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
    reader = READERS[source.kind](source, Intake(source, root, shares, audio))
    return Collected(terms_of(source, source.kind), reader.items(), reader.dialogues())
