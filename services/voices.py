"""Voices by the names that clients of the protocol use."""

from collections.abc import Sequence

USUAL_VOICES = frozenset(
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()  # noqa: SIM905
)
"""Voices that the protocol's own clients ask for when nobody chose; here, the default voice."""


def own_voice(name: str, voices: Sequence[str]) -> str:
    """`name` as the model knows it: one of the protocol's own voices is the first of `voices`."""
    return voices[0] if name in USUAL_VOICES and name not in voices else name
