"""The folder that holds a whole model: written whole, verified file by file, opened.

lm/               config.json, model.safetensors, tokenizer.json (published layout)
codec/            config.json, preprocessor_config.json, model.safetensors, readout.safetensors
codec/flow/       the flow network: config.json, model.safetensors; campplus.onnx if it has one
codec/flow/hift/  the vocoder: config.json, model.safetensors
voices/NAME/      prompt.flac, voice.safetensors, voice.json
card.json         what it is, and size and SHA-256 of every other file
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from moss_speech.card import CARD, FORMAT_VERSION, About, Card, seal, verify_bundle
from moss_speech.codec.load import load_codec
from moss_speech.codec.model import Codec
from moss_speech.decoder.load import CAMPPLUS, load_speech_decoder
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.voice import Voice, load_voice, save_voice
from moss_speech.licence import PATTERNS
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.tokenizer import COMPANIONS, TextTokenizer, load_tokenizer
from moss_speech.storage import file_digest, fresh_dir, link_or_copy, write_json

LM, CODEC, FLOW = Path("lm"), Path("codec"), Path("codec/flow")
VOCODER, _VOICES = Path("codec/flow/hift"), Path("voices")
_KEPT = (
    *("*.safetensors", "*config.json", "tokenizer.json", "*.safetensors.index.json"),
    CAMPPLUS,
    *COMPANIONS,
    *PATTERNS,
)
"""Files of a model folder that belong to the model; reports do not."""


@dataclass(frozen=True)
class ModelFolders:
    """Where the parts of a model lie before they are bundled."""

    lm: Path
    codec: Path
    decoder: Path
    vocoder: Path


@dataclass(frozen=True)
class SpeechParts:
    """What makes codes of speech and speech of codes: all of a model but its language model."""

    codec: Codec
    decoder: SpeechDecoder
    voices: dict[str, Voice]

    @classmethod
    def open(cls, folder: Path) -> "SpeechParts":
        """Verify a bundle and load its codec, decoder and voices.

        Raises `ValueError` naming the file or parts that do not fit.
        """
        return _speech_parts(folder, verify_bundle(folder))


@dataclass(frozen=True)
class Bundle(SpeechParts):
    """An opened model: all parts fit each other."""

    lm: LayerSplitLM
    tokenizer: TextTokenizer
    card: Card
    digest: str
    """SHA-256 of card.json, which seals every other file."""

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Verify a bundle and load it; `ValueError` names the file or parts that do not fit."""
        card = verify_bundle(folder)
        bundle = cls(
            **vars(_speech_parts(folder, card)),
            lm=load_lm(folder / LM),
            tokenizer=load_tokenizer(folder / LM),
            card=card,
            digest=file_digest(folder / CARD),
        )
        if (n_codes := bundle.codec.config.n_codes) != bundle.lm.config.n_codes:
            raise ValueError(
                f"{folder}: the codec has {n_codes} codes, "
                f"the language model {bundle.lm.config.n_codes}; must be equal"
            )
        return bundle


def _speech_parts(folder: Path, card: Card) -> SpeechParts:
    codec = load_codec(folder / CODEC)
    decoder = load_speech_decoder(folder / FLOW, folder / VOCODER)
    flow = decoder.flow.config
    if codec.config.n_codes != flow.n_codes:
        raise ValueError(
            f"{folder}: the codec has {codec.config.n_codes} codes, "
            f"the decoder {flow.n_codes}; must be equal"
        )
    if flow.codec_digest != codec.digest:
        raise ValueError(
            f"{folder}: the decoder was trained on codec {flow.codec_digest[:12]!r}, "
            f"the codec is {codec.digest[:12]!r}"
        )
    voices = {name: load_voice(folder / _VOICES / name, flow) for name in card.voices}
    return SpeechParts(codec, decoder, voices)


def _take_model(source: Path, target: Path, link: bool) -> None:
    target.mkdir(parents=True, exist_ok=True)
    take = link_or_copy if link else shutil.copyfile
    for pattern in _KEPT:
        for path in sorted(source.glob(pattern)):
            take(path, target / path.name)


def write_bundle(
    out: Path, models: ModelFolders, voices: list[Voice], about: About, link: bool = False
) -> None:
    """Write a bundle and open it; it appears under its name only if it opened.

    With `link` it shares the files of `models` where the file system can, so that large weights
    are stored once; whoever changes those files then damages it.
    """
    with fresh_dir(out) as folder:
        _take_model(models.lm, folder / LM, link)
        _take_model(models.codec, folder / CODEC, link)
        _take_model(models.decoder, folder / FLOW, link)
        _take_model(models.vocoder, folder / VOCODER, link)
        for voice in voices:
            save_voice(voice, folder / _VOICES / voice.name)
        names = sorted(voice.name for voice in voices)
        card = Card(format_version=FORMAT_VERSION, about=about, voices=names, files=seal(folder))
        write_json(folder / CARD, card.model_dump())
        Bundle.open(folder)
