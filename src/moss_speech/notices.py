"""Notices to a team: one JSON POST to `MOSS_WEBHOOK_URL` where a run failed or a verdict fell.

Whatever the receiver does, the caller goes on: a notice is tried a few times within a bounded
time, and what went wrong is a line of the log without the address, which may hold a secret.
"""

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import IO, Any, Literal
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from moss_speech.settings import settings

Kind = Literal["failed", "refused", "promoted", "rolled back", "reverted", "drift"]
SIGNATURE = "X-Moss-Signature"
"""`sha256=` and the HMAC of the body's bytes by `MOSS_WEBHOOK_SECRET`, in hexadecimal."""
TRIES = 3
PATIENCE_S = 5.0
"""For one try to be answered."""
REST_S = 1.0
"""Before the second try; twice as long before the third."""
DEADLINE_S = 20.0
"""For all of it: a receiver that answers a byte at a time holds nobody up."""
MAX_REASON_CHARS = 4000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """What happened."""

    kind: Kind
    run: str
    """The flow's name and the run's, as its page shows them."""
    reason: str
    version: int | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    """Addresses of pages by what they show."""


def notify(notice: Notice) -> bool:
    """Send a notice if an address is set; whether it was taken. Never raises."""
    address = settings().webhook_url
    if address is None:
        return False
    body = _body(notice)
    headers = {"Content-Type": "application/json", "User-Agent": "moss-speech", **_signed(body)}
    taken: list[bool] = []
    work = threading.Thread(
        target=lambda: taken.append(_send(address.get_secret_value(), body, headers)), daemon=True
    )
    work.start()
    work.join(DEADLINE_S)
    if work.is_alive():
        _log.warning("a notice (%s) was not taken within %g s", notice.kind, DEADLINE_S)
    return taken == [True]


def _body(notice: Notice) -> bytes:
    said = {**asdict(notice), "reason": notice.reason[:MAX_REASON_CHARS]}
    mark = {"id": secrets.token_hex(8), "sent_at": datetime.now(UTC).isoformat()}
    return json.dumps({**said, **mark}, sort_keys=True).encode()


def _signed(body: bytes) -> dict[str, str]:
    key = settings().webhook_secret
    if key is None:
        return {}
    digest = hmac.new(key.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
    return {SIGNATURE: f"sha256={digest}"}


class _NoRedirects(HTTPRedirectHandler):
    """A signed body goes to the address that was set and nowhere else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing; the answer counts as an error."""


def _send(address: str, body: bytes, headers: dict[str, str]) -> bool:
    opener = build_opener(_NoRedirects)
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(REST_S * attempt)
        try:
            with opener.open(Request(address, body, headers, method="POST"), timeout=PATIENCE_S):
                return True
        except HTTPError as error:
            problem = f"status {error.code}"
            if 300 <= error.code < 500 and error.code not in (408, 429):
                break  # the same again would be refused again
        except (OSError, HTTPException, ValueError) as error:
            problem = type(error).__name__
    _log.warning("a notice was not taken: %s", problem)
    return False
