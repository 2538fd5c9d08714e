"""Why an item is rejected: each rule returns a row of the reject table or nothing."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.clean.listen import Heard
from moss_speech.corpus.clean.measure import Measured, Undecodable, has_given_words, is_cut_up
from moss_speech.corpus.items import Utterance
from moss_speech.params.clean import Clean
from moss_speech.speech.text import normalise


@dataclass(frozen=True)
class Reject:
    """A row of rejects.jsonl."""

    id: str
    reason: str
    value: str
    allowed: str
    source: str = ""
    """Name of the source; empty where the corpus names none."""

    def to_json(self) -> dict[str, Any]:
        """The row as JSON."""
        return asdict(self)


def _outside(item: str, reason: str, value: float, bounds: list[float], unit: str) -> Reject | None:
    if bounds[0] <= value <= bounds[1]:
        return None
    allowed = f"{bounds[0]:g}..{bounds[1]:g} {unit}".rstrip()
    return Reject(item, reason, f"{value:.3g} {unit}".rstrip(), allowed)


def check_declared(u: Utterance, sample_rate_hz: int, n_channels: int, p: Clean) -> Reject | None:
    """What the manifest alone says against an item."""
    lowest_s, longest_s = p.duration_s
    longest_s = math.inf if is_cut_up(u, p) else longest_s
    if not math.isfinite(u.duration_s) or not 0 < u.duration_s <= longest_s:
        allowed = f"{lowest_s:g}..{p.duration_s[1]:g} s"
        return Reject(u.id, "duration", f"{u.duration_s:.3g} s", allowed)
    if sample_rate_hz < p.min_sample_rate_hz:
        allowed = f">= {p.min_sample_rate_hz} Hz"
        return Reject(u.id, "sample rate", f"{sample_rate_hz} Hz", allowed)
    if p.channels == "mono" and n_channels != 1:
        return Reject(u.id, "channels", str(n_channels), "1")
    if not u.language:
        allowed = "an ISO 639 code: say `language` in the source, or --language"
        return Reject(u.id, "language", "unknown", allowed)
    return None


def check_item(u: Utterance, m: Measured | Undecodable | None, p: Clean) -> Reject | None:
    """The first cheap rule that an item breaks; None was measured where no speech was found."""
    if m is None:
        return _no_speech(u, 0.0, p)
    if isinstance(m, Undecodable):
        return Reject(u.id, "decode", m.reason, "readable audio of the declared length")
    if m.word_error > p.max_recogniser_error:
        value = f"letter error {m.word_error:.2f}"
        return Reject(u.id, "alignment", value, f"<= {p.max_recogniser_error:g}")
    if has_given_words(u) and not normalise(u.text):
        return Reject(u.id, "text", "no words", "at least one word")
    if m.speech_s < p.min_speech_s and m.loudness_lufs >= p.loudness_lufs[0]:
        return _no_speech(u, m.speech_s, p)
    if m.clipped_share > p.max_clipped_share:
        share = f"{m.clipped_share:.2%} of samples"
        return Reject(u.id, "clipping", share, f"<= {p.max_clipped_share:.2%} of samples")
    return _outside(u.id, "duration", m.duration_s, p.duration_s, "s") or _outside(
        u.id, "loudness", m.loudness_lufs, p.loudness_lufs, "LUFS"
    )


def _no_speech(u: Utterance, speech_s: float, p: Clean) -> Reject:
    """The row of an item with too little speech."""
    return Reject(u.id, "speech", f"{speech_s:.2f} s", f">= {p.min_speech_s:g} s")


def is_doubtful(u: Utterance, m: Measured, p: Clean) -> bool:
    """Whether the transcript is too long or too short for the speech that was found."""
    low, high = p.letters_per_s
    return has_given_words(u) and not low <= len(u.text) / max(m.speech_s, 1e-3) <= high


def letter_error(a: str, b: str) -> float:
    """Edit distance as a part of the longer text, 0..1."""
    return Levenshtein.normalized_distance(a, b)


def check_heard(u: Utterance, heard: Heard, p: Clean) -> Reject | None:
    """Language, agreement of transcript and recognisers, quality of an item that was heard."""
    return (
        _check_language(u, heard, p)
        or (_check_given(u, heard, p) if has_given_words(u) else _check_recognised(u, heard, p))
        or _check_quality(u, heard, p)
    )


def _check_language(u: Utterance, heard: Heard, p: Clean) -> Reject | None:
    if p.max_other_language is None or heard.other_language <= p.max_other_language:
        return None
    value = f"{heard.language} with {heard.other_language:.2f}"
    allowed = f"{u.language}, another with <= {p.max_other_language:g}"
    return Reject(u.id, "language", value, allowed)


def _check_given(u: Utterance, heard: Heard, p: Clean) -> Reject | None:
    if heard.words is None:
        return None
    error = letter_error(normalise(u.text), heard.words)
    if error <= p.max_letter_error:
        return None
    return Reject(u.id, "agreement", f"letter error {error:.2f}", f"<= {p.max_letter_error:g}")


def _check_recognised(u: Utterance, heard: Heard, p: Clean) -> Reject | None:
    if u.tags["transcript"] == "none":
        return None
    if heard.words is None:
        return Reject(u.id, "recogniser", u.language, f"a language of {p.recognisers[0]}")
    if not heard.words:
        return Reject(u.id, "text", "no words were heard", "at least one word")
    if heard.second_words is None:
        return None
    error = letter_error(heard.words, heard.second_words)
    if error <= p.max_recogniser_error:
        return None
    value = f"recognisers differ by {error:.2f}"
    return Reject(u.id, "agreement", value, f"<= {p.max_recogniser_error:g}")


def _check_quality(u: Utterance, heard: Heard, p: Clean) -> Reject | None:
    if heard.quality >= p.min_quality:
        return None
    return Reject(u.id, "quality", f"DNSMOS {heard.quality:.2f}", f">= {p.min_quality:g}")
