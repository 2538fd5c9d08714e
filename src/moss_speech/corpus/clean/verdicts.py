"""Why an item is rejected: each rule returns a row of the reject table or nothing."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.clean.measure import Measured, Undecodable, distance
from moss_speech.corpus.items import Split, Utterance
from moss_speech.params.clean import Clean
from moss_speech.speech.text import normalise

PROTECTED: tuple[Split, ...] = ("test", "dev", "train")
"""Where splits overlap, the earlier one keeps the item."""


@dataclass(frozen=True)
class Reject:
    """A row of rejects.jsonl."""

    id: str
    reason: str
    value: str
    allowed: str

    def to_json(self) -> dict[str, Any]:
        """The row as JSON."""
        return asdict(self)


def _outside(item: str, reason: str, value: float, bounds: list[float], unit: str) -> Reject | None:
    if bounds[0] <= value <= bounds[1]:
        return None
    allowed = f"{bounds[0]:g}..{bounds[1]:g} {unit}".rstrip()
    return Reject(item, reason, f"{value:.3g} {unit}".rstrip(), allowed)


def check_item(u: Utterance, m: Measured | Undecodable, p: Clean) -> Reject | None:
    """The first cheap rule that an item breaks."""
    if isinstance(m, Undecodable):
        return Reject(u.id, "decode", m.reason, "readable audio of the declared length")
    if not normalise(u.text):
        return Reject(u.id, "text", "no words", "at least one word")
    if m.speech_s < p.min_speech_s and m.loudness_lufs >= p.loudness_lufs[0]:
        return Reject(u.id, "speech", f"{m.speech_s:.2f} s", f">= {p.min_speech_s:g} s")
    if m.clipped_share > p.max_clipped_share:
        share = f"{m.clipped_share:.2%} of samples"
        return Reject(u.id, "clipping", share, f"<= {p.max_clipped_share:.2%} of samples")
    return _outside(u.id, "duration", m.duration_s, p.duration_s, "s") or _outside(
        u.id, "loudness", m.loudness_lufs, p.loudness_lufs, "LUFS"
    )


def is_doubtful(u: Utterance, m: Measured, p: Clean) -> bool:
    """Whether the transcript is too long or too short for the speech that was found."""
    low, high = p.letters_per_s
    return not low <= len(u.text) / max(m.speech_s, 1e-3) <= high


def duplicates(kept: Iterable[tuple[Utterance, Measured]], p: Clean) -> Iterator[Reject]:
    """Items whose audio an earlier item of equal text and speaker has already."""
    groups: dict[tuple[str, str], list[Measured]] = {}
    for u, m in kept:
        seen = groups.setdefault((normalise(u.text), u.speaker), [])
        nearest = min(seen, key=lambda o: distance(o.fingerprint, m.fingerprint), default=None)
        if nearest is None or distance(nearest.fingerprint, m.fingerprint) >= p.duplicate_distance:
            seen.append(m)
            continue
        bits = f"{distance(nearest.fingerprint, m.fingerprint):.3f} from {nearest.id}"
        yield Reject(u.id, "duplicate", bits, f">= {p.duplicate_distance:g}")


def _leaks(
    kept: list[Utterance],
    key: Callable[[Utterance], str],
    split: Callable[[Utterance], Split],
    reason: str,
) -> Iterator[Reject]:
    owner: dict[str, Split] = {}
    for u in sorted(kept, key=lambda u: PROTECTED.index(split(u))):
        owner.setdefault(key(u), split(u))
    for u in kept:
        if owner[key(u)] != split(u):
            allowed = f"in one split; {owner[key(u)]} has it"
            yield Reject(u.id, reason, f"{key(u)!r} in {split(u)}", allowed)


def leaks(kept: list[Utterance]) -> Iterator[Reject]:
    """Items whose voice or wording a more protected split holds too.

    Answers are let through by text: of them renditions are held out, not sentences.
    """
    yield from _leaks(kept, lambda u: u.speaker, lambda u: u.voice_split, "voice leak")
    asked = [u for u in kept if u.role != "answer"]
    yield from _leaks(asked, lambda u: normalise(u.text), lambda u: u.text_split, "wording leak")


def check_heard(u: Utterance, heard: str, quality: float, p: Clean) -> Reject | None:
    """Recogniser agreement and quality of an item that was listened to."""
    error = Levenshtein.normalized_distance(normalise(u.text), heard)
    if error > p.max_letter_error:
        return Reject(u.id, "agreement", f"letter error {error:.2f}", f"<= {p.max_letter_error:g}")
    if quality < p.min_quality:
        return Reject(u.id, "quality", f"DNSMOS {quality:.2f}", f">= {p.min_quality:g}")
    return None
