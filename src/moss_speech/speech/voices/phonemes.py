"""English words to IPA phonemes, by espeak-ng."""

import unicodedata

from moss_speech.speech.voices.base import run_program


def ipa(text: str, accent: str) -> str:
    """IPA of one phrase with stress marks; `accent` is an espeak-ng voice such as `en-us`."""
    out = run_program(["espeak-ng", "-q", "--ipa", "-v", accent, "--", text], "espeak-ng")
    return unicodedata.normalize("NFD", " ".join(out.decode().split()))
