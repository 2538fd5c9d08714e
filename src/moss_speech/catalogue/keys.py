"""Keys of the service: made, found, revoked. Only their digests are kept.

A key is 256 random bits, so its SHA-256 can be neither guessed nor reversed: the slow salted hashes
that passwords need would protect nothing and cost every request.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from moss_speech.catalogue.serving_tables import ApiKey
from moss_speech.catalogue.tables import now

Scope = Literal["realtime", "chat", "speech", "transcriptions", "models", "secrets"]
"""What a key can open."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "ms-"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Grant:
    """What a key opens and how much of it; `expires_at` None is forever."""

    scopes: Sequence[str]
    sessions: int
    requests_per_minute: int
    tokens_per_minute: int
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if unknown := set(self.scopes) - set(SCOPES):
            raise ValueError(f"scope {min(unknown)!r} must be one of {', '.join(SCOPES)}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def add_key(session: Session, name: str, grant: Grant) -> str:
    """Make a key and return it, which nothing can do again; `ValueError` if the name is taken.

    Names of revoked keys stay taken, so that a name in a log always means one key.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise ValueError(f"key name {name!r} must be 1 to 64 of a-z A-Z 0-9 . _ -")
    if session.scalars(select(ApiKey).where(ApiKey.name == name)).first() is not None:
        raise ValueError(f"a key named {name!r} exists or existed, choose another name")
    key = PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    row = {**asdict(grant), "scopes": sorted(grant.scopes)}
    session.add(ApiKey(id=f"key_{secrets.token_hex(8)}", name=name, digest=_digest(key), **row))
    return key


def all_keys(session: Session) -> list[ApiKey]:
    """Every key that was ever made, by name."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.name)))


def revoke_key(session: Session, name: str) -> ApiKey:
    """End a key, and with it what was issued with it; `ValueError` names those in use."""
    keys = {row.name: row for row in all_keys(session) if row.revoked_at is None}
    if name not in keys:
        raise ValueError(f"no key {name!r} in use; there are {', '.join(keys) or 'none'}")
    keys[name].revoked_at = now()
    return keys[name]


def find_key(session: Session, key: str) -> ApiKey | None:
    """The key's row; the database compares digests, of which time tells nothing about the key."""
    digest = _digest(key)
    row = session.scalars(select(ApiKey).where(ApiKey.digest == digest)).first()
    return row if row is not None and hmac.compare_digest(row.digest, digest) else None


def key_by_id(session: Session, key_id: str) -> ApiKey | None:
    """The key that a client secret was issued with."""
    return session.get(ApiKey, key_id)


def is_usable(row: ApiKey, at: datetime) -> bool:
    """Whether a key is neither revoked nor expired."""
    return row.revoked_at is None and (row.expires_at is None or at < row.expires_at)
