"""The folder that holds a whole model: written whole, verified file by file, opened.

lm/               config.json, model.safetensors, tokenizer.json (published layout)
codec/            config.json, preprocessor_config.json, model.safetensors, readout.safetensors
codec/flow/       the flow network: config.json, model.safetensors
codec/flow/hift/  the vocoder: config.json, model.safetensors
voices/NAME/      prompt.flac, voice.safetensors, voice.json
card.json         what it is, and size and SHA-256 of every other file
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from moss_speech.codec.load import load_codec
from moss_speech.codec.model import Codec
from moss_speech.decoder.load import load_speech_decoder
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.voice import Voice, load_voice, save_voice
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.tokenizer import TextTokenizer, load_tokenizer
from moss_speech.params.base import Params
from moss_speech.params.bundle import Generation
from moss_speech.storage import file_digest, fresh_dir, write_json

CARD = "card.json"
_LM, _CODEC, _FLOW = Path("lm"), Path("codec"), Path("codec/flow")
_VOCODER, _VOICES = Path("codec/flow/hift"), Path("voices")
_KEPT = ("*.safetensors", "*config.json", "tokenizer.json", "*.safetensors.index.json")
"""Files of a model folder that belong to the model; reports do not."""


class Sealed(Params):
    """What a file must be."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class About(Params):
    """What a bundle is; its inputs determine it, so it holds no times and no metrics."""

    name: str
    licence: str
    normalise_text: bool
    """Typed turns are brought to spoken form first, as in the corpus it learnt from."""
    generation: Generation
    parents: dict[str, str]
    """Digest of each data and model folder it was made from."""
    params: dict[str, Any]
    """Sections of params.yaml that made it."""
    sources: Any
    """Licence, consent and counts of each source of the corpus."""


class Card(Params):
    """The content of card.json."""

    format_version: Literal[1]
    about: About
    voices: list[str]
    files: dict[str, Sealed]


@dataclass(frozen=True)
class ModelFolders:
    """Where the parts of a model lie before they are bundled."""

    lm: Path
    codec: Path
    decoder: Path
    vocoder: Path


@dataclass(frozen=True)
class Bundle:
    """An opened model: all parts fit each other."""

    lm: LayerSplitLM
    tokenizer: TextTokenizer
    codec: Codec
    decoder: SpeechDecoder
    voices: dict[str, Voice]
    card: Card
    digest: str
    """SHA-256 of card.json, which seals every other file."""

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Verify a bundle and load it; `ValueError` names the file or parts that do not fit."""
        card = verify_bundle(folder)
        decoder = load_speech_decoder(folder / _FLOW, folder / _VOCODER)
        bundle = cls(
            lm=load_lm(folder / _LM),
            tokenizer=load_tokenizer(folder / _LM),
            codec=load_codec(folder / _CODEC),
            decoder=decoder,
            voices={v: load_voice(folder / _VOICES / v, decoder.flow.config) for v in card.voices},
            card=card,
            digest=file_digest(folder / CARD),
        )
        _check_parts(bundle, folder)
        return bundle


def _check_parts(bundle: Bundle, folder: Path) -> None:
    codec, flow, lm = bundle.codec, bundle.decoder.flow.config, bundle.lm.config
    if not codec.config.n_codes == flow.n_codes == lm.n_codes:
        raise ValueError(
            f"{folder}: the codec has {codec.config.n_codes} codes, the decoder {flow.n_codes}, "
            f"the language model {lm.n_codes}; must be equal"
        )
    if flow.codec_digest != codec.digest:
        raise ValueError(
            f"{folder}: the decoder was trained on codec {flow.codec_digest[:12]!r}, "
            f"the codec is {codec.digest[:12]!r}"
        )
    if not bundle.voices:
        raise ValueError(f"{folder} holds 0 voices, must hold at least 1")


def _files(folder: Path) -> dict[str, Path]:
    """Every file but the card, by its name relative to the folder."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    return {name: paths[name] for name in sorted(paths) if name != CARD}


def _copy_model(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _KEPT:
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, target / path.name)


def write_bundle(out: Path, models: ModelFolders, voices: list[Voice], about: About) -> None:
    """Write a bundle and open it; it appears under its name only if it opened."""
    with fresh_dir(out) as folder:
        _copy_model(models.lm, folder / _LM)
        _copy_model(models.codec, folder / _CODEC)
        _copy_model(models.decoder, folder / _FLOW)
        _copy_model(models.vocoder, folder / _VOCODER)
        rate_hz = load_speech_decoder(models.decoder, models.vocoder).format.sample_rate_hz
        for voice in voices:
            save_voice(voice, folder / _VOICES / voice.name, rate_hz)
        files = {
            name: Sealed(bytes=path.stat().st_size, sha256=file_digest(path))
            for name, path in _files(folder).items()
        }
        names = sorted(voice.name for voice in voices)
        card = Card(format_version=1, about=about, voices=names, files=files)
        write_json(folder / CARD, card.model_dump())
        Bundle.open(folder)


def read_card(folder: Path) -> Card:
    """Read card.json; `ValueError` if the folder is no bundle of a version that we know."""
    path = folder / CARD
    if not path.is_file():
        raise ValueError(f"{folder} is no bundle: {CARD} is missing")
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is no card of a bundle: {field}: {first['msg']}") from None


def verify_bundle(folder: Path) -> Card:
    """Check every file against the card; `ValueError` names the first that is not as sealed."""
    card = read_card(folder)
    found = _files(folder)
    for name, sealed in card.files.items():
        if name not in found:
            raise ValueError(f"{folder} is damaged: {name} is missing")
        if (size := found[name].stat().st_size) != sealed.bytes:
            raise ValueError(
                f"{folder} is damaged: {name} has {size} bytes, must have {sealed.bytes}"
            )
    if extra := sorted(found.keys() - card.files.keys()):
        raise ValueError(f"{folder} is damaged: {extra[0]} does not belong to it")
    for name, sealed in card.files.items():
        if (digest := file_digest(found[name])) != sealed.sha256:
            raise ValueError(
                f"{folder} is damaged: {name} has SHA-256 {digest[:12]}…, "
                f"must have {sealed.sha256[:12]}…"
            )
    return card
