"""Spoken answers that a client may refer to by `audio.id`: their codes, for an hour.

All workers share them. An id is 128 random bits: who knows it was given it. It names the codec, as
the codes of one mean nothing to another, and a hot swap may have come between.
"""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from moss_speech.catalogue.spoken import find_answer, keep_answer
from services.transactions import Transactions

LIFETIME_S = 3600
_CODE = np.dtype("<u2")


@dataclass(frozen=True)
class StoredAnswer:
    """An answer's id, its codes, and when it is forgotten (Unix seconds)."""

    id: str
    codes: tuple[int, ...]
    expires_at: int


class Answers:
    """The newest answers of all workers."""

    def __init__(self, transactions: Transactions, lifetime_s: int = LIFETIME_S) -> None:
        self._transactions, self._lifetime_s = transactions, lifetime_s

    def reserve(self, codec_digest: str) -> StoredAnswer:
        """An id and expiry for an answer that is not spoken yet; its codes will be this codec's."""
        expires_at = int(time.time()) + self._lifetime_s
        return StoredAnswer(f"{_prefix(codec_digest)}{uuid.uuid4().hex}", (), expires_at)

    async def keep(self, reserved: StoredAnswer, codes: tuple[int, ...]) -> None:
        """Remember the codes under a reserved id."""
        assert max(codes, default=0) <= np.iinfo(_CODE).max
        packed, expires_at = np.array(codes, _CODE).tobytes(), _time(reserved.expires_at)
        now = datetime.now(UTC)
        await self._transactions.run(
            lambda session: keep_answer(session, reserved.id, packed, expires_at, now)
        )

    async def find(self, answer_id: str, codec_digest: str) -> StoredAnswer | None:
        """The answer, or None if it is unknown, forgotten, or in the codes of another codec."""
        if not answer_id.startswith(_prefix(codec_digest)):
            return None
        now = datetime.now(UTC)
        found = await self._transactions.run(lambda session: find_answer(session, answer_id, now))
        if found is None:
            return None
        codes = tuple(np.frombuffer(found.codes, _CODE).tolist())
        return StoredAnswer(found.id, codes, int(found.expires_at.timestamp()))


def _prefix(codec_digest: str) -> str:
    return f"audio_{codec_digest[:12]}_"


def _time(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
