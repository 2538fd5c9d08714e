"""What the training of a tokenizer begins with: a Whisper encoder, or a codec to go on from."""

from dataclasses import dataclass
from pathlib import Path

from moss_speech.codec.encoder import Encoder
from moss_speech.codec.load import READOUT, WEIGHTS, load_codec
from moss_speech.codec.whisper import read_whisper_encoder, start_from_whisper, whisper_config
from moss_speech.storage import copy_files, read_json


@dataclass(frozen=True)
class Start:
    """An encoder to train."""

    encoder: Encoder
    has_codes: bool
    """Whether it is a codec's: it hears as it shall already, and its codebook is in use."""


def start_encoder(folder: Path, layers: int, codes: int, lookahead_frames: int) -> Start:
    """Read a start; `ValueError` names what does not fit."""
    if _is_codec(folder):
        return Start(_from_codec(folder, layers, codes, lookahead_frames), has_codes=True)
    weights = read_whisper_encoder(folder)
    config = whisper_config(weights, layers, codes, lookahead_frames)
    return Start(start_from_whisper(config, weights), has_codes=False)


def keep_codec(folder: Path, layers: int, codes: int, lookahead_frames: int, out: Path) -> None:
    """Copy a codec folder as it is; `ValueError` if it is none, is another or cannot spell."""
    if not _is_codec(folder):
        raise ValueError(f"train_tokenizer.keep is true, so {folder} must be a codec folder")
    if not (folder / READOUT).is_file():
        raise ValueError(f"{folder} has no {READOUT}, which aligning words needs: train one")
    _from_codec(folder, layers, codes, lookahead_frames)
    copy_files(folder, out)


def _is_codec(folder: Path) -> bool:
    config = folder / "config.json"
    has_both = config.is_file() and (folder / WEIGHTS).is_file()
    return has_both and "quantize_vocab_size" in read_json(config)


def _from_codec(folder: Path, layers: int, codes: int, lookahead_frames: int) -> Encoder:
    codec = load_codec(folder)
    config = codec.config
    for name, wanted, found in (
        ("layers", layers, config.quantize_position),
        ("codes", codes, config.n_codes),
        ("lookahead_frames", lookahead_frames, config.lookahead_frames),
    ):
        if wanted != found:
            raise ValueError(f"{name} is {wanted}, must be {found} to go on from {folder}")
    encoder = Encoder(config)
    encoder.load_state_dict(codec.encoder.state_dict())
    return encoder
