"""Short-lived client secrets: signed, and kept nowhere.

`ek_` + base64url(claims as compact JSON) + `.` + base64url(HMAC-SHA256 of what stands before). The
claims name the issuing key, the expiry and the settings of the session.
"""

import base64
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moss_speech.settings import Settings
from services.errors import ApiError, invalid

PREFIX = "ek_"
MAX_SESSION_BYTES = 4096
"""A secret travels in a header line, of which servers take about 8 KiB."""
_KEY_BYTES = 32


@dataclass(frozen=True)
class Claims:
    """What a secret says: the caller it was issued to, when it ends (Unix seconds), settings."""

    caller: str
    expires_at: int
    session: Mapping[str, Any]


def signing_key(chosen: Settings) -> bytes:
    """The key that all workers sign with: a setting, or a file that the first of them makes."""
    if chosen.signing_key is not None:
        return chosen.signing_key.get_secret_value().encode()
    path = chosen.state / "signing.key"
    if not path.exists():
        _make_key(path)
    return path.read_bytes()


def _make_key(path: Path) -> None:
    """Written aside and linked, so that of two workers one makes it and both read it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode())
        path.hardlink_to(partial)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class ClientSecrets:
    """Issues secrets and reads them back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), "sha256"))

    def issue(self, claims: Claims) -> str:
        """The secret; `ApiError` 400 if the session's settings are too large for one."""
        session = json.dumps(claims.session, separators=(",", ":"))
        if len(session) > MAX_SESSION_BYTES:
            reason = f"session holds {len(session)} bytes, must hold at most {MAX_SESSION_BYTES}"
            raise invalid(reason, "session", "session_too_large")
        values = {"caller": claims.caller, "expires_at": claims.expires_at}
        content = json.dumps({**values, "session": claims.session}, separators=(",", ":"))
        signed = PREFIX + _base64(content.encode())
        return f"{signed}.{self._signature(signed)}"

    def read(self, secret: str, at: float) -> Claims:
        """The claims of a secret; `ApiError` 401 if it is not ours or has expired."""
        signed, _, signature = secret.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise _refused("the client secret is not one of this service", "invalid_client_secret")
        claims = Claims(**json.loads(_decoded(signed)))
        if at >= claims.expires_at:
            raise _refused("the client secret has expired", "expired_client_secret")
        return claims


def _decoded(signed: str) -> bytes:
    content = signed.removeprefix(PREFIX)
    return base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))


def _refused(message: str, code: str) -> ApiError:
    return ApiError(401, message, code=code, kind="authentication_error")
