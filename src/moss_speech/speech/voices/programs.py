"""Synthesisers that are programs of the system: espeak-ng and flite."""

import tempfile
from pathlib import Path

from moss_speech.audio import Samples
from moss_speech.speech.voices.base import Manner, run_program, speech_from_wav

ESPEAK_WORDS_PER_MINUTE = 175
ESPEAK_PITCH = 50
"""espeak-ng's own rate and pitch (0..99)."""


class EspeakNG:
    """Formant synthesis; a voice is ACCENT+VARIANT such as `en-gb+f4`."""

    name = "espeak-ng"

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz."""
        rate = round(ESPEAK_WORDS_PER_MINUTE * manner.rate)
        pitch = min(99, round(ESPEAK_PITCH * manner.pitch))
        command = ["espeak-ng", "-v", voice, "-s", str(rate), "-p", str(pitch), "--stdout"]
        return speech_from_wav(run_program([*command, "--", text], "espeak-ng"))


class Flite:
    """CMU Flite; voices `kal`, `kal16`, `rms`, `slt`, `awb`. It cannot change their pitch."""

    name = "flite"
    voices = ("kal", "kal16", "rms", "slt", "awb")

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz."""
        if voice not in self.voices:
            raise ValueError(f"flite has no voice {voice!r}; it has {', '.join(self.voices)}")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "speech.wav"
            stretch = f"duration_stretch={1 / manner.rate:.3f}"
            command = ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(out)]
            run_program(command, "flite")
            return speech_from_wav(out.read_bytes())
