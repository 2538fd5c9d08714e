"""Recognisers by name: who writes down what a model said, and in which version.

Each clip is heard for itself, so that what is heard of it does not depend on its neighbours.
Shapes: S samples.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol

from moss_speech.assets import ASSETS
from moss_speech.audio import LISTENING, Samples, resample
from moss_speech.speech.recognisers import SphinxFree, Whisper
from moss_speech.storage import file_digest

FOLDER = "whisper:"
"""Before the folder of a Whisper that CTranslate2 reads."""
_PACKAGED: dict[str, Literal["whisper-base", "whisper-tiny.en"]] = {
    "whisper-base": "whisper-base",
    "whisper-tiny.en": "whisper-tiny.en",
}
_ENGLISH = ("whisper-tiny.en", "sphinx")
NAMES = ("whisper-base", "whisper-tiny.en", "sphinx", f"{FOLDER}FOLDER")


class Writer(Protocol):
    """Hears one clip at a time."""

    def __call__(self, samples_S: Samples, sample_rate_hz: int) -> str:
        """What is said, as the recogniser writes it; empty where nothing is heard."""


def check_name(name: str, language: str) -> None:
    """`ValueError` for a recogniser that there is not, or that does not hear the language."""
    if name not in NAMES[:-1] and not name.startswith(FOLDER):
        raise ValueError(f"recogniser is {name!r}, must be one of {', '.join(NAMES)}")
    if name in _ENGLISH and language != "en":
        raise ValueError(f"recogniser {name!r} hears English only, language is {language!r}")
    if name.startswith(FOLDER) and not (_folder(name) / "model.bin").is_file():
        raise ValueError(f"recogniser {name!r}: {_folder(name)} holds no model.bin")


def open_writer(name: str, language: str) -> Writer:
    """A recogniser for a language; `ValueError` for a name or language that it does not have."""
    check_name(name, language)
    if name == "sphinx":
        sphinx = SphinxFree()
        return lambda samples_S, rate_hz: sphinx.transcribe([_heard(samples_S, rate_hz)])[0]
    whisper = Whisper(_PACKAGED.get(name) or _folder(name), language=language)
    return lambda samples_S, rate_hz: whisper.write([_heard(samples_S, rate_hz)])[0]


def describe_writer(name: str, language: str) -> dict[str, str]:
    """Name and version of a recogniser, without opening it."""
    check_name(name, language)
    if name == "sphinx":
        which = f"pocketsphinx {version('pocketsphinx')}, en-us, free dictation"
        return {"name": name, "version": which}
    packaged = _PACKAGED.get(name)
    weights = ASSETS[packaged].revision if packaged else file_digest(_folder(name) / "model.bin")
    runtime = f"ctranslate2 {version('ctranslate2')}, int8, beam 1, language {language}"
    return {"name": name, "version": f"{weights}, {runtime}"}


def _folder(name: str) -> Path:
    return Path(name.removeprefix(FOLDER))


def _heard(samples_S: Samples, rate_hz: int) -> Samples:
    return resample(samples_S, rate_hz, LISTENING.sample_rate_hz)
