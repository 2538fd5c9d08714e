"""Stage train_tokenizer: cuts and a Whisper encoder, or a codec, to models/codec."""

from pathlib import Path

import torch

from moss_speech import assets
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.load import load_codec, save_codec
from moss_speech.codec.readout import ENGLISH, Alphabet, CtcReadout
from moss_speech.codec.start import keep_codec, start_encoder
from moss_speech.corpus.items import Utterance, open_utterances
from moss_speech.params.train_tokenizer import TrainTokenizer
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json
from moss_speech.training.launch import Fit
from moss_speech.training.tokenizer import train_tokenizer
from moss_speech.training.tokenizer_data import can_be_spelt, load_spoken
from moss_speech.training.tokenizer_report import draw, held_out, report_codec

Section = TrainTokenizer


def run(p: TrainTokenizer, io: StageIO) -> None:
    """Adapt the encoder and quantise it, or keep a codec; write it and report on dev."""
    folder, utterances = _start_folder(p.start), open_utterances(io.inputs["clean"])
    short = [u for u in utterances.values() if u.duration_s <= p.max_item_s]
    with fresh_dir(io.output) as out:
        if p.keep:
            keep_codec(folder, p.layers, p.codes, p.lookahead_frames, out)
            n_items = 0
        else:
            n_items = _train(p, io, folder, short, out)
        codec = load_codec(out)
        dev = _dev(_usable(short, codec.config))
        drawn = {name: draw(us, p.max_dev_items, io.seed) for name, us in dev.items()}
        report = report_codec(codec, drawn)
        write_json(out / "report.json", report | {"training_items": n_items})
    values = {f"{name}_word_error": v["word_error"] for name, v in report["dev"].items()}
    values |= {key: report[key] for key in ("codes_used", "perplexity")}
    io.tracker.metrics({f"tokenizer/dev_{key}": v for key, v in values.items()}, p.fit.steps)


def _usable(utterances: list[Utterance], config: CodecConfig) -> list[Utterance]:
    return [u for u in utterances if can_be_spelt(u, Alphabet(ENGLISH), config.audio_format)]


def _train(p: TrainTokenizer, io: StageIO, folder: Path, short: list[Utterance], out: Path) -> int:
    """Write a codec that was trained; how many utterances it learnt from."""
    torch.manual_seed(io.seed)
    start = start_encoder(folder, p.layers, p.codes, p.lookahead_frames)
    config, alphabet = start.encoder.config, Alphabet(ENGLISH)
    readout = CtcReadout(config.d_model, p.readout_width, alphabet)
    training = [u for u in _usable(short, config) if u.for_training]
    items = load_spoken(draw(training, p.max_items, io.seed), alphabet, config.audio_format)
    how = Fit(p.fit, io.seed, io.run_folder, io.tracker, settings().device, "tokenizer")
    train_tokenizer(start, readout, items, p, how)
    save_codec(out, start.encoder, readout)
    return len(items)


def _dev(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """The dev sets, and training utterances for comparison."""
    return {"training": [u for u in utterances if u.for_training], **held_out(utterances, "dev")}


def _start_folder(name: str) -> Path:
    return folder if (folder := Path(name)).is_dir() else assets.fetch(name)
