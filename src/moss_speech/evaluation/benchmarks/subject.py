"""The model that a suite is asked of: a whole one, or a language model by itself.

Shapes: S samples, K speaker width.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from moss_speech.audio import Samples
from moss_speech.bundle import FLOW, Bundle
from moss_speech.decoder.load import speaker_file
from moss_speech.decoder.voice import Rights, Voice, make_voice
from moss_speech.inference.engine import Engine
from moss_speech.inference.released import is_released_lm
from moss_speech.inference.voices import with_added_voices
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.tokenizer import TextTokenizer, load_tokenizer
from moss_speech.speech.encoders import speaker_encoder
from moss_speech.storage import tree_digest

_RIGHTS = Rights(licence="the suite's", consent="the suite's; kept for this run only")


@dataclass(frozen=True)
class Subject:
    """An opened model; one without a bundle neither hears nor speaks."""

    folder: Path
    address: str
    """As it was named by who asked."""
    digest: str
    lm: LayerSplitLM
    tokenizer: TextTokenizer
    normalise_text: bool
    bundle: Bundle | None
    voices: Path
    """Where added voices lie; a released model has no others."""

    @classmethod
    def open(cls, folder: Path, address: str, voices: Path) -> "Subject":
        """Open a bundle, or a language model in the published layout.

        Raises `ValueError` for a folder that is neither or is damaged.
        """
        if is_released_lm(folder):
            lm, tokenizer = load_lm(folder), load_tokenizer(folder)
            digest = tree_digest(folder)
            return cls(folder, address, digest, lm, tokenizer, False, None, voices)
        bundle = Bundle.open(folder)
        plain = bundle.card.about.normalise_text
        own = (bundle.digest, bundle.lm, bundle.tokenizer, plain, bundle)
        return cls(folder, address, *own, voices)

    @property
    def parts(self) -> Bundle:
        """The whole model; `ValueError` for a language model by itself."""
        if self.bundle is None:
            raise ValueError(
                f"{self.address} is a language model alone, which neither hears nor answers here: "
                "set MOSS_CODEC to the folder of the released codec, or ask it suites of kind "
                "choice with typed routes"
            )
        return self.bundle

    def voice_of(self, prompt_S: Samples) -> Voice:
        """The voice of a prompt at 24 kHz, made for this run; `ValueError` if it cannot be made."""
        config = self.parts.decoder.flow.config
        speaker_K = None
        if config.speaker != "mel-statistics":
            encoder = speaker_encoder(config.speaker_width, speaker_file(self.folder / FLOW))
            speaker_K = encoder(prompt_S)
        return make_voice(
            "prompt", prompt_S, self.parts.codec, config, rights=_RIGHTS, speaker_K=speaker_K
        )

    @cached_property
    def engine(self) -> Engine:
        """What answers; `ValueError` without a voice."""
        return Engine(with_added_voices(self.parts, self.voices))
