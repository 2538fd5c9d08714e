"""A corpus as a stream of candidates: each utterance of the manifest, or the pieces it is cut into.

Every pass over a corpus reads the manifest and the files of what was measured and heard anew, so
memory does not grow with the corpus. A candidate's place in the stream is its name between passes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from moss_speech.corpus.clean.blocks import rows_of
from moss_speech.corpus.clean.listen import Heard
from moss_speech.corpus.clean.measure import Measured, Undecodable, from_row, parts_of
from moss_speech.corpus.clean.verdicts import Reject, check_declared
from moss_speech.corpus.clean.withdrawn import Withdrawal, check_withdrawn
from moss_speech.corpus.items import Utterance, utterance_of
from moss_speech.corpus.manifests import open_corpus_cuts
from moss_speech.params.clean import Clean


@dataclass(frozen=True)
class Candidate:
    """What may be kept: a cut of its own."""

    place: int
    cut: Any
    """A Lhotse cut."""
    utterance: Utterance
    measured: Measured | Undecodable | None
    """None: it was to be cut up, but no speech was found."""


@dataclass(frozen=True)
class Spine:
    """The manifest of a corpus folder, and what speaks against an utterance before it is opened."""

    corpus: Path
    p: Clean
    withdrawals: Sequence[Withdrawal] = ()

    def declared(self) -> Iterator[tuple[Any, Utterance, Reject | None]]:
        """Every utterance of the manifest, and why nobody is to open or hear it."""
        for cut in open_corpus_cuts(self.corpus):
            u, recording = utterance_of(cut), cut.recording
            rate_hz, n_channels = recording.sampling_rate, recording.num_channels
            reject = check_withdrawn(u, self.withdrawals)
            yield cut, u, reject or check_declared(u, rate_hz, n_channels, self.p)

    def candidates(self, measured: list[Path]) -> Iterator[Candidate]:
        """Everything that was measured, in the order of the manifest."""
        rows = rows_of(measured)
        place = 0
        for cut, u, reject in self.declared():
            if reject is not None:
                continue
            for m in parts_of(from_row(next(rows), u.id)):
                piece = _piece(cut, m) if isinstance(m, Measured) else cut
                yield Candidate(place, piece, utterance_of(piece), m)
                place += 1


def _piece(cut: Any, m: Measured) -> Any:
    if m.id == cut.id or m.span is None:
        return cut
    (supervision,) = cut.supervisions
    text = supervision.text if m.words is None else m.words
    words = replace(supervision, id=m.id, start=0.0, duration=m.span.duration_s, text=text)
    return MonoCut(
        m.id,
        m.span.start_s,
        m.span.duration_s,
        channel=cut.channel,
        supervisions=[words],
        recording=cut.recording,
    )


def with_words(candidate: Candidate, heard: Heard | None) -> Candidate:
    """A candidate whose words were missing, with those that the recogniser wrote down."""
    if candidate.utterance.tags.get("transcript") != "missing" or heard is None:
        return candidate
    (supervision,) = candidate.cut.supervisions
    custom = supervision.custom | {"transcript": "recognised"}
    words = replace(supervision, text=heard.words or "", custom=custom)
    cut = replace(candidate.cut, supervisions=[words])
    return replace(candidate, cut=cut, utterance=utterance_of(cut))


def with_heard(cut: Any, heard: Heard | None) -> Any:
    """A rejected cut with what was heard of it as the tag `heard`."""
    if heard is None or heard.words is None:
        return cut
    (supervision,) = cut.supervisions
    custom = supervision.custom | {"heard": heard.words}
    return replace(cut, supervisions=[replace(supervision, custom=custom)])
