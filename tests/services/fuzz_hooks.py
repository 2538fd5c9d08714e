"""What schemathesis cannot guess: the served model's name, a voice, a question, a way to end.

Loaded by its command line (SCHEMATHESIS_HOOKS). Values are put only where any string is allowed, so
that a case stays as right or as wrong as it was made.
"""

import base64
import random
from typing import Any

import schemathesis

from services.sound import sound_file
from tests.tiny_bundle import spoken

WAV = sound_file(spoken(), 16000, "wav")
KNOWN = {
    "model": "moss-speech",
    "voice": "assistant",
    "data": base64.b64encode(WAV).decode(),
    "file": WAV,
}
SHARE = 0.8
"""Of the values are known ones; the others stay as they were made."""


def _known(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_known(part, chance) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: KNOWN[name]
        if name in KNOWN and isinstance(part, str | bytes) and chance.random() < SHARE
        else _known(part, chance)
        for name, part in value.items()
    }


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(context: Any, body: Any) -> Any:
    """A body whose names exist, so that it gets further than the first check."""
    return _known(body, random.Random(repr(body)))
