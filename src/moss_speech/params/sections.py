"""Every section of a params file and its strict class, so that a file is checked before it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from moss_speech.params.align import Align
from moss_speech.params.base import Params, read_yaml, validate_section
from moss_speech.params.bundle import BundleParams
from moss_speech.params.clean import Clean
from moss_speech.params.corpus import Corpus
from moss_speech.params.decoder import TrainDecoder, TrainVocoder
from moss_speech.params.encode_corpus import EncodeCorpus
from moss_speech.params.evaluate import Evaluate
from moss_speech.params.gates import Gates
from moss_speech.params.lm import Finetune, InitBackbone, Pack, PretrainFrozen, PretrainJoint
from moss_speech.params.monitor import Monitor
from moss_speech.params.start import StartParams
from moss_speech.params.train_tokenizer import TrainTokenizer


class Pipeline(Params):
    """A whole params file."""

    seed: int = Field(ge=0)
    gates: Gates
    monitor: Monitor
    start: StartParams
    corpus: Corpus
    clean: Clean
    train_tokenizer: TrainTokenizer
    encode_corpus: EncodeCorpus
    train_decoder: TrainDecoder
    train_vocoder: TrainVocoder
    align: Align
    init_backbone: InitBackbone
    pack: Pack
    pretrain_frozen: PretrainFrozen
    pretrain_joint: PretrainJoint
    finetune: Finetune
    bundle: BundleParams
    evaluate: Evaluate


def load_pipeline(path: Path) -> Pipeline:
    """Read a params file whole; the `ValueError` names every wrong key, value and limit."""
    values: Mapping[str, Any] = read_yaml(path)
    return validate_section(values, Pipeline, f"{path.name}: ")
