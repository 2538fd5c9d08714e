"""Canary questions, asked of a running service; needs the extra `talk`.

Shapes: S samples.
"""

import asyncio
from collections.abc import Sequence

from moss_speech.audio import LISTENING, resample
from moss_speech.client.dialogue import Turn
from moss_speech.client.feed import samples_of
from moss_speech.client.line import RATE_HZ, ServiceError, connected, settings_of
from moss_speech.client.talk import ask_recordings
from moss_speech.monitoring.canary import Asked, Canary
from moss_speech.monitoring.measures import listener
from moss_speech.speech.text import normalise

TURN_S = 120.0
"""For one question and its answer."""
_QUIET = "store=false"
"""Canaries are not recorded: they are no traffic."""


def ask_canaries(canaries: Sequence[Canary], url: str, key: str | None) -> list[Asked]:
    """Ask a service every question in a conversation of its own.

    One that is refused, or not answered in time, is not answered rightly. Raises `ConnectionError`
    if no service is there.
    """
    address = f"{url}{'&' if '?' in url else '?'}{_QUIET}"
    return [asyncio.run(_ask(canary, address, key)) for canary in canaries]


async def _ask(canary: Canary, url: str, key: str | None) -> Asked:
    turns: list[Turn] = []
    try:
        async with asyncio.timeout(TURN_S), connected(url, key, settings_of("manual")) as line:
            await ask_recordings(line, [canary.samples], "manual", True, turns.append)
    except TimeoutError:
        return Asked(canary.id, False, "", None, "")
    except ServiceError as error:
        if error.code == "no_server":
            raise ConnectionError(str(error)) from None
        return Asked(canary.id, False, "", None, "")
    turn = turns[-1].to_json()
    said = _words(turns[-1])
    right = any(f" {answer} " in f" {said} " for answer in canary.answers)
    return Asked(canary.id, right, said, turn["from_turn_end_s"], turn["model_version"] or "")


def _words(turn: Turn) -> str:
    if not turn.audio:
        return normalise(turn.text)
    heard_S = resample(samples_of(turn.audio), RATE_HZ, LISTENING.sample_rate_hz)
    return listener().transcribe([heard_S])[0]
