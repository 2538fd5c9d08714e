"""What a codec understands and how it uses its codes, on utterances held out for choosing."""

from collections.abc import Sequence
from typing import Any, Literal

import jiwer
import torch

from moss_speech.codec.model import Codec, Codes
from moss_speech.codec.quantizer import code_use
from moss_speech.corpus.items import Utterance


def draw(utterances: Sequence[Utterance], most: int, seed: int) -> list[Utterance]:
    """At most so many utterances by seed, in their order."""
    order = torch.randperm(len(utterances), generator=torch.Generator().manual_seed(seed))
    return [utterances[i] for i in sorted(order[:most].tolist())]


def held_out(
    utterances: Sequence[Utterance], split: Literal["dev", "test"]
) -> dict[str, list[Utterance]]:
    """Utterances of a split that training has not: new voice, new wording, both, people.

    Dev chooses a recipe; test only measures what was chosen.
    """
    sets: dict[str, list[Utterance]] = {"voice": [], "wording": [], "both": [], "human": []}
    for utterance in utterances:
        match (utterance.voice_split, utterance.text_split):
            case (voice, text) if voice == text == split:
                sets["human" if utterance.role == "human" else "both"].append(utterance)
            case (voice, "train") if voice == split:
                sets["voice"].append(utterance)
            case ("train", text) if text == split:
                sets["wording"].append(utterance)
    return {name: chosen for name, chosen in sets.items() if chosen}


def encode_utterances(codec: Codec, utterances: Sequence[Utterance]) -> list[Codes]:
    """Codes of each utterance's file."""
    rate_hz = codec.config.audio_format.sample_rate_hz
    return codec.encode([u.read(rate_hz) for u in utterances])


def word_error(codec: Codec, utterances: Sequence[Utterance], codes: Sequence[Codes]) -> float:
    """Word error rate of the CTC read-out."""
    heard = [codec.transcribe(c) for c in codes]
    return float(jiwer.wer([u.text for u in utterances], heard))


def report_codec(codec: Codec, dev: dict[str, list[Utterance]]) -> dict[str, Any]:
    """Word errors of each dev set, and use and perplexity of the codes over all of them."""
    word_errors, all_codes = {}, []
    for name, utterances in dev.items():
        codes = encode_utterances(codec, utterances)
        value = word_error(codec, utterances, codes)
        word_errors[name] = {"word_error": round(value, 4), "n": len(utterances)}
        all_codes += codes
    return {"dev": word_errors, **code_use(all_codes, codec.config.n_codes)}
