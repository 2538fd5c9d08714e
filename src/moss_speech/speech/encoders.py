"""Which speaker encoder makes the vectors that a decoder is given."""

from pathlib import Path

from moss_speech.speech.campplus import CamPlus
from moss_speech.speech.ge2e import ge2e
from moss_speech.speech.speaker import SpeakerEncoder


def speaker_encoder(width: int, campplus: Path | None) -> SpeakerEncoder:
    """CAM++ where its file is given, else the packaged encoder; `ValueError` if none fits."""
    encoder: SpeakerEncoder = ge2e() if campplus is None else CamPlus(campplus)
    if encoder.width != width:
        raise ValueError(
            f"the speaker vector has {encoder.width} numbers, this decoder reads {width}: it needs "
            "campplus.onnx of the released codec, beside its weights or given by --campplus"
        )
    return encoder
