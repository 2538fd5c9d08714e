"""The synthesisers by name."""

from collections.abc import Callable

from moss_speech.speech.voices.base import Synthesiser
from moss_speech.speech.voices.graphs import Kokoro, Piper
from moss_speech.speech.voices.programs import EspeakNG, Flite
from moss_speech.speech.voices.service import SpeechService

_MAKERS: dict[str, Callable[[int], Synthesiser]] = {
    "espeak-ng": lambda seed: EspeakNG(),
    "flite": lambda seed: Flite(),
    "piper": Piper,
    "kokoro": Kokoro,
}


def open_synthesiser(name: str, seed: int) -> Synthesiser:
    """A synthesiser whose noise starts from `seed`; an address is that of a service.

    Raises `ValueError` for an unknown name.
    """
    if name.startswith(("http://", "https://")):
        return SpeechService(name)
    if name not in _MAKERS:
        raise ValueError(f"no synthesiser {name!r}; there are {', '.join(_MAKERS)}")
    return _MAKERS[name](seed)
