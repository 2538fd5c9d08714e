"""The model that a suite is asked of: a whole one, or a language model by itself."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.released import is_released_lm
from moss_speech.inference.voices import with_added_voices
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.tokenizer import TextTokenizer, load_tokenizer
from moss_speech.storage import tree_digest


@dataclass(frozen=True)
class Subject:
    """An opened model; one without a bundle neither hears nor speaks."""

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
            return cls(address, tree_digest(folder), lm, tokenizer, False, None, voices)
        bundle = Bundle.open(folder)
        plain = bundle.card.about.normalise_text
        return cls(address, bundle.digest, bundle.lm, bundle.tokenizer, plain, bundle, voices)

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

    @cached_property
    def engine(self) -> Engine:
        """What answers; `ValueError` without a voice."""
        return Engine(with_added_voices(self.parts, self.voices))
