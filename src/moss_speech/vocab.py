"""Special ids of the two-channel grid, saved with every language model (format.md section 2)."""

from dataclasses import dataclass

TEXT_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|empty|>")
"""Text tokens with a role in the grid: pad, turn start, turn end, start of speech, modality pad."""


@dataclass(frozen=True)
class SpecialIds:
    """Ids with a meaning in the grid; the first five are text ids, the last two speech ids."""

    pad: int
    im_start: int
    im_end: int
    sosp: int
    modality_pad: int
    eosp: int
    audio_pad: int

    def check(self, n_text_vocab: int, n_audio_vocab: int) -> None:
        """Raise `ValueError` for an id outside its vocabulary or an audio pad equal to eosp."""
        for name in ("pad", "im_start", "im_end", "sosp", "modality_pad"):
            if not 0 <= (value := getattr(self, name)) < n_text_vocab:
                raise ValueError(f"text id {name} is {value}, must be 0..{n_text_vocab - 1}")
        for name in ("eosp", "audio_pad"):
            if not 0 <= (value := getattr(self, name)) < n_audio_vocab:
                raise ValueError(f"audio id {name} is {value}, must be 0..{n_audio_vocab - 1}")
        if self.audio_pad == self.eosp:
            raise ValueError(f"audio_pad and eosp are both {self.eosp}: padding would end speech")


PUBLISHED_IDS = SpecialIds(
    pad=151643,
    im_start=151644,
    im_end=151645,
    sosp=151646,
    modality_pad=151667,
    eosp=16384,
    audio_pad=512,
)
"""The released MOSS-Speech ids."""
