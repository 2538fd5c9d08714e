"""Who speaks: voices by split, so that no voice is in two; the assistant is one voice.

Variants of espeak-ng that whisper-base could not follow in clean speech were left out
(docs/reference/corpus-format.md, voices).
"""

from dataclasses import dataclass

from moss_speech.corpus.items import Split

ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland")


@dataclass(frozen=True)
class CastVoice:
    """A voice identity and the names under which its synthesiser knows it."""

    synthesizer: str
    name: str
    accents: tuple[str, ...] = ()

    @property
    def speaker(self) -> str:
        """The identity that splits keep apart."""
        return f"{self.synthesizer}:{self.name}"

    def voice(self, number: int) -> str:
        """What to ask the synthesiser for; `number` walks through the accents."""
        if not self.accents:
            return self.name
        return f"{self.accents[number % len(self.accents)]}+{self.name}"


_ESPEAK: dict[Split, str] = {
    "train": (
        "Alex Andrea Denis Diogo Gene Gene2 Henrique Hugo Mario Michael Mike Storm adam anika "
        "antonio benjamin caleb david ed edward edward2 f1 f2 f3 f5 grandpa gustave iven iven3 "
        "john klatt klatt2 klatt4 m1 m2 m3 m4 m6 m7 m8 marcelo michel miguel paul pedro quincy "
        "rob robert robosoft2 steph steph3 victor zac"
    ),
    "dev": "belinda sandro Nguyen Jacky aunty",
    "test": "m5 f4 linda max travis Annie",
}
_FLITE: dict[Split, str] = {"train": "rms kal kal16", "dev": "", "test": "slt awb"}

ASSISTANT = CastVoice("piper", "joe")
UNSEEN = tuple(CastVoice("kokoro", name) for name in ("jf_alpha", "jf_tebukuro", "jm_kumo"))
"""Voices of a synthesiser that training never hears."""


FLITE_SHARE: dict[Split, int] = {"train": 6, "dev": 1, "test": 2}
"""How often a voice of flite stands in the cast for once of espeak-ng; it has few voices."""


def users(split: Split) -> list[CastVoice]:
    """The users' voices of one split, as often as they speak."""
    espeak = [CastVoice("espeak-ng", name, ACCENTS) for name in _ESPEAK[split].split()]
    flite = [CastVoice("flite", name) for name in _FLITE[split].split()]
    return [*espeak, *flite * FLITE_SHARE[split]]
