"""Cleaning as a whole: measure everything, listen, judge the words, keep or reject, count.

Each pass is a stream over the corpus. What is held of an item between passes is a fingerprint, a
few numbers, and the texts that are held out.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moss_speech.corpus.clean.blocks import over_utterances, rows_of
from moss_speech.corpus.clean.dialogues import (
    Screen,
    clean_dialogues,
    clean_passages,
    spoken_ids,
    typed,
)
from moss_speech.corpus.clean.duplicates import PRINT_BITS, duplicates
from moss_speech.corpus.clean.leaks import WORDING, Leaks
from moss_speech.corpus.clean.listen import LISTENING_TO, Heard, stratified
from moss_speech.corpus.clean.measure import MEASURING, Measured
from moss_speech.corpus.clean.spine import Candidate, Spine, with_heard, with_words
from moss_speech.corpus.clean.summary import Count
from moss_speech.corpus.clean.verdicts import Reject, check_heard, check_item, is_doubtful
from moss_speech.corpus.clean.withdrawn import REASON, Withdrawal, without_withdrawn
from moss_speech.corpus.clean.words import PERSONAL, Words
from moss_speech.corpus.items import Dialogue, Utterance, open_dialogues
from moss_speech.corpus.manifests import write_manifest
from moss_speech.corpus.passages import open_passages, write_passages
from moss_speech.params.clean import Clean
from moss_speech.speech.text import normalise
from moss_speech.storage import write_json, write_jsonl

_NO_PRINT = bytes(PRINT_BITS // 8)


class Cleaning:
    """A corpus while it is cleaned: which candidates are still kept, and why others are not."""

    def __init__(self, spine: Spine, root: Path, folder: Path) -> None:
        self.spine, self.root, self.p, self.folder = spine, root, spine.p, folder
        self.count = Count()
        self.rejects: list[Reject] = []
        self._kept = bytearray()
        self._must_hear = bytearray()
        self._speakers = array("q")
        self._texts = array("q")
        self._prints = bytearray()
        self._measured: list[Path] = []
        self._chosen: set[int] = set()
        self._heard: list[Path] = []
        self._leaks = Leaks(self.p.near_text)

    def _reject(self, u: Utterance, reject: Reject) -> None:
        self.rejects.append(self.count.reject(u, reject))

    def _drop(self, candidate: Candidate, reject: Reject) -> None:
        self._kept[candidate.place] = False
        self._reject(candidate.utterance, reject)

    def _candidates(self) -> Iterator[Candidate]:
        """Those still kept."""
        for candidate in self.spine.candidates(self._measured):
            if self._kept[candidate.place]:
                yield candidate

    def _listened(self) -> Iterator[tuple[Candidate, Heard | None]]:
        """All, and what was heard of the chosen ones."""
        rows = rows_of(self._heard)
        for candidate in self.spine.candidates(self._measured):
            heard = Heard(**next(rows)) if candidate.place in self._chosen else None
            yield candidate, heard

    def _spoken(self) -> Iterator[tuple[Candidate, Heard | None]]:
        """Those still kept, and what was heard of the chosen ones."""
        for candidate, heard in self._listened():
            if self._kept[candidate.place]:
                yield candidate, heard

    def measure(self) -> None:
        """Decode and measure everything that its manifest does not speak against."""
        n_items = 0
        for _, u, reject in self.spine.declared():
            if reject is None:
                n_items += 1
            else:
                self._reject(u, reject)
        todo = (u for _, u, reject in self.spine.declared() if reject is None)
        place = (self.root, self.p, self.folder)
        self._measured = over_utterances(MEASURING, todo, n_items, *place)

    def judge_sound(self) -> None:
        """Apply the rules for what was measured; note who must be listened to."""
        speakers: dict[str, int] = {}
        for candidate in self.spine.candidates(self._measured):
            u, m = candidate.utterance, candidate.measured
            reject = check_item(u, m, self.p)
            self._kept.append(reject is None)
            self._prints += m.fingerprint if isinstance(m, Measured) else _NO_PRINT
            self._speakers.append(speakers.setdefault(u.speaker, len(speakers)))
            self._texts.append(hash(normalise(u.text)))
            missing = u.tags.get("transcript") == "missing"
            doubtful = isinstance(m, Measured) and is_doubtful(u, m, self.p)
            self._must_hear.append(missing or doubtful)
            if reject is not None:
                self._reject(u, reject)

    def _doubles(self, groups_N: NDArray[np.int64]) -> dict[int, tuple[int, float]]:
        """Of each kept candidate that sounds like an earlier one of its group: which, how close."""
        places = np.flatnonzero(np.frombuffer(self._kept, bool))
        prints_NY = np.frombuffer(self._prints, np.uint8).reshape(-1, len(_NO_PRINT))[places]
        found = duplicates(prints_NY, self.p.duplicate_distance, groups_N[places])
        return {int(places[n]): (int(places[of]), apart) for n, (of, apart) in found.items()}

    def _drop_doubles(self, doubles: dict[int, tuple[int, float]]) -> None:
        originals = {of for of, _ in doubles.values()}
        names: dict[int, str] = {}
        for candidate in self._candidates() if doubles else ():
            id_, place = candidate.utterance.id, candidate.place
            if place in originals:
                names[place] = id_
            if place in doubles:
                of, apart = doubles[place]
                allowed = f">= {self.p.duplicate_distance:g}"
                value = f"{apart:.3f} from {names[of]}"
                self._drop(candidate, Reject(id_, "duplicate", value, allowed))

    def drop_equal_duplicates(self) -> None:
        """Of equal sounds with equal words the first stays; other words make both doubtful."""
        self._drop_doubles(self._doubles(np.array(self._texts)))
        for later, (earlier, _) in self._doubles(np.zeros(len(self._texts), np.int64)).items():
            self._must_hear[later] = self._must_hear[earlier] = True

    def drop_duplicates(self) -> None:
        """Of equal sounds whose words were believed the first stays."""
        self._drop_doubles(self._doubles(np.zeros(len(self._texts), np.int64)))

    def listen(self, seed: int) -> None:
        """Hear the sample, every doubtful item and every one without a transcript."""
        places = np.flatnonzero(np.frombuffer(self._kept, bool))
        sample = stratified([self._speakers[n] for n in places], self.p.sample, seed)
        self._chosen = {int(n) for n in places if self._must_hear[n]}
        self._chosen |= {int(places[n]) for n in sample}
        todo = (c.utterance for c in self._candidates() if c.place in self._chosen)
        place = (self.root, self.p, self.folder)
        self._heard = over_utterances(LISTENING_TO, todo, len(self._chosen), *place)

    def judge_heard(self) -> None:
        """Apply the rules for what was heard."""
        for candidate, heard in self._spoken():
            if heard is not None:
                self.count.hear(candidate.utterance, heard)
                if reject := check_heard(candidate.utterance, heard, self.p):
                    self._drop(candidate, reject)

    def judge_words(self) -> None:
        """Apply the rules for the words themselves, given or written down; then look for leaks."""
        words, leaks = Words(self.p), self._leaks
        for candidate, heard in self._spoken():
            final = with_words(candidate, heard).utterance
            if (reject := words.check(final)) is None:
                leaks.add(final)
            else:
                self._drop(candidate, reject)
        for text, split in typed(self._dialogues(), open_passages(self.spine.corpus)):
            leaks.add_words(text, split)
        for candidate, heard in self._spoken():
            if reject := leaks.check(with_words(candidate, heard).utterance):
                self._drop(candidate, reject)

    def _dialogues(self) -> list[Dialogue]:
        gone = frozenset(r.id for r in self.rejects if r.reason == REASON)
        return list(without_withdrawn(open_dialogues(self.spine.corpus), gone))

    def _screen(self) -> Screen:
        unsaid = {r.id: r for r in self.rejects if r.reason in (PERSONAL, WORDING)}
        return Screen(self.p, self._leaks, unsaid)

    def _rejected_cuts(self) -> Iterator[Any]:
        """Cuts of rejected items with what was heard of them, for people to listen to.

        Who withdrew is not listened to.
        """
        for cut, _, reject in self.spine.declared():
            if reject is not None and reject.reason != REASON:
                yield cut
        for candidate, heard in self._listened():
            if not self._kept[candidate.place]:
                yield with_heard(candidate.cut, heard)

    def write(self, out: Path) -> dict[str, Any]:
        """Write what is kept and why the rest is not; returns the summary."""
        dialogues, passages = self._dialogues(), open_passages(self.spine.corpus)
        wanted, said = spoken_ids(dialogues, passages), dict[str, str]()

        def cuts() -> Iterator[Any]:
            for candidate, heard in self._spoken():
                final = with_words(candidate, heard)
                self.count.keep(final.utterance)
                if final.utterance.id in wanted:
                    said[final.utterance.id] = final.utterance.text
                yield final.cut

        write_manifest(out / "cuts.jsonl.gz", cuts())
        write_manifest(out / "rejected.jsonl.gz", self._rejected_cuts())
        screen = self._screen()
        kept, rejects = clean_dialogues(dialogues, said, screen)
        self.rejects += [self.count.reject_dialogue(r) for r in rejects]
        write_jsonl(out / "dialogues.jsonl", (d.to_json() for d in kept))
        left, rejects = clean_passages(passages, said, screen)
        self.rejects += [self.count.reject_sentence(r) for r in rejects]
        write_passages(out, left)
        write_jsonl(out / "rejects.jsonl", (r.to_json() for r in self.rejects))
        summary = self.count.summary(len(kept))
        write_json(out / "summary.json", summary)
        return summary


def clean_corpus(
    corpus: Path,
    root: Path,
    p: Clean,
    seed: int,
    out: Path,
    folder: Path,
    withdrawals: Sequence[Withdrawal] = (),
) -> dict[str, Any]:
    """Clean a corpus folder into the fresh folder `out`; returns the summary.

    What was measured and heard is kept in `folder`, from which a killed run goes on. Raises
    `ValueError` if more than `max_reject_share` of the items are rejected.
    """
    cleaning = Cleaning(Spine(corpus, p, withdrawals), root, folder)
    cleaning.measure()
    cleaning.judge_sound()
    cleaning.drop_equal_duplicates()
    cleaning.listen(seed)
    cleaning.judge_heard()
    cleaning.drop_duplicates()
    cleaning.judge_words()
    summary = cleaning.write(out)
    cleaning.count.check_share(p.max_reject_share, cleaning.rejects)
    return summary
