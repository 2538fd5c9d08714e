"""Rules for the words of an item, given or written down: how often, and nothing personal."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.items import Utterance
from moss_speech.params.clean import Clean
from moss_speech.speech.personal import TAG, find_personal
from moss_speech.speech.text import normalise

PERSONAL = "personal data"


def check_personal(id_: str, text: str, p: Clean) -> Reject | None:
    """A row for a text that names something personal; the row does not repeat it."""
    if p.personal_data == "keep" or (found := find_personal(text)) is None:
        return None
    return Reject(id_, PERSONAL, found, "no such text")


def check_tag(id_: str, tags: Mapping[str, str], p: Clean) -> Reject | None:
    """A row for what was personal as it was written, whatever is left of it in the corpus."""
    if p.personal_data == "keep" or (found := tags.get(TAG)) is None:
        return None
    return Reject(id_, PERSONAL, found, "no such text")


class Words:
    """The rules, told of the items one after the other."""

    def __init__(self, p: Clean) -> None:
        self._p = p
        self._seen: Counter[bytes] = Counter()

    def check(self, u: Utterance) -> Reject | None:
        """The first rule that an item's words break."""
        return (
            check_tag(u.id, u.tags, self._p)
            or check_personal(u.id, u.text, self._p)
            or self._check_repeated(u)
        )

    def _check_repeated(self, u: Utterance) -> Reject | None:
        if self._p.max_same_text is None or not (text := normalise(u.text)):
            return None
        said = "\0".join((u.tags.get("source", ""), u.speaker, text))
        key = hashlib.blake2b(said.encode(), digest_size=8).digest()
        self._seen[key] += 1
        if self._seen[key] <= self._p.max_same_text:
            return None
        value = f"{text!r} for the {self._seen[key]}th time by {u.speaker}"
        return Reject(u.id, "repeated text", value, f"<= {self._p.max_same_text} times")
