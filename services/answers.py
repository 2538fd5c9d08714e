"""Spoken answers that a client may refer to by `audio.id`: their codes, in memory, for an hour."""

import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass

LIFETIME_S = 3600
MAX_ANSWERS = 10_000


@dataclass(frozen=True)
class StoredAnswer:
    """An answer's id, its codes, and when it is forgotten (Unix seconds)."""

    id: str
    codes: tuple[int, ...]
    expires_at: int


class Answers:
    """The newest answers, oldest forgotten first."""

    def __init__(self, max_answers: int = MAX_ANSWERS, lifetime_s: int = LIFETIME_S) -> None:
        self._max_answers, self._lifetime_s = max_answers, lifetime_s
        self._stored: OrderedDict[str, StoredAnswer] = OrderedDict()

    def reserve(self) -> StoredAnswer:
        """An id and expiry for an answer that is not spoken yet."""
        expires_at = int(time.time()) + self._lifetime_s
        return StoredAnswer(f"audio_{uuid.uuid4().hex}", (), expires_at)

    def keep(self, reserved: StoredAnswer, codes: tuple[int, ...]) -> None:
        """Remember the codes under a reserved id."""
        self._stored[reserved.id] = StoredAnswer(reserved.id, codes, reserved.expires_at)
        while len(self._stored) > self._max_answers:
            self._stored.popitem(last=False)

    def find(self, answer_id: str) -> StoredAnswer | None:
        """The answer, or None if it is unknown or forgotten."""
        stored = self._stored.get(answer_id)
        return stored if stored is not None and stored.expires_at > time.time() else None
