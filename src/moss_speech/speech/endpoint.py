"""Services of others over HTTP: one JSON request, bounded in time, size and tries."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from moss_speech.settings import settings

MAX_BYTES = 64 * 2**20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class EndpointError(OSError):
    """A service that did not answer, or not with what was asked for."""


class RefusedError(EndpointError):
    """A service that will not answer this one request."""


_REFUSALS = (400, 413, 422)


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would take the key to another place."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def ask(url: str, body: Mapping[str, Any], timeout_s: float, tries: int) -> bytes:
    """What a service answers to a JSON body; tried again where it is busy or out of reach.

    Raises `EndpointError` naming the address and the last reason, `RefusedError` if only this body
    is to blame; never the key or the body.
    """
    key = settings().endpoint_key
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    request = Request(url, json.dumps(body).encode(), headers, method="POST")
    reason, pause_s = "", _FIRST_PAUSE_S
    for number in range(tries):
        if number:
            time.sleep(min(pause_s, _LONGEST_PAUSE_S))
            pause_s *= 2
        try:
            return _answer(request, timeout_s)
        except HTTPError as error:
            reason = f"status {error.code}"
            if error.code in _REFUSALS:
                raise RefusedError(f"{url} refused: {reason}") from None
            if error.code != 429 and error.code < 500:
                break
            pause_s = max(pause_s, _asked_pause_s(error))
        except (URLError, TimeoutError, ConnectionError) as error:
            reason = str(error.reason) if isinstance(error, URLError) else str(error) or "timeout"
    raise EndpointError(f"{url} did not answer in {tries} tries: {reason}")


def _answer(request: Request, timeout_s: float) -> bytes:
    with build_opener(_NoRedirects).open(request, timeout=timeout_s) as reply:
        content: bytes = reply.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        limit = f"must be at most {MAX_BYTES}"
        raise EndpointError(f"{request.full_url} answered more than {MAX_BYTES} bytes, {limit}")
    return content


def _asked_pause_s(error: HTTPError) -> float:
    """What the service asks to wait; 0 if it names no seconds."""
    try:
        return float(error.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
