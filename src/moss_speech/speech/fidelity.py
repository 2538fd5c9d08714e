"""How close speech is to the speech it was made from, both in step: STOI and PESQ.

Both need the same words at the same times in the same voice; of anything else they say nothing.
Shapes: S samples at 16 kHz.
"""

import warnings
from importlib.util import find_spec

from pystoi import stoi as short_time_intelligibility

from moss_speech.audio import LISTENING, Samples


def _in_step(reference_S: Samples, heard_S: Samples) -> tuple[Samples, Samples]:
    n_samples = min(len(reference_S), len(heard_S))
    return reference_S[:n_samples], heard_S[:n_samples]


def stoi(reference_S: Samples, heard_S: Samples) -> float | None:
    """Share of what a listener would understand, 0..1; None for less than 0.4 s of speech.

    Taal et al. 2011: correlation of third-octave envelopes, frames of pauses left out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            rate_hz = LISTENING.sample_rate_hz
            return float(short_time_intelligibility(*_in_step(reference_S, heard_S), rate_hz))
        except RuntimeWarning:
            return None


def has_pesq() -> bool:
    """Whether the optional package is there; it is built from C when it is installed."""
    return find_spec("pesq") is not None


def pesq(reference_S: Samples, heard_S: Samples) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2), 1 (bad) to 4.64 (equal); None where it finds no speech.

    Raises `ModuleNotFoundError` if the package is not installed; see `has_pesq`.
    """
    from pesq import PesqError
    from pesq import pesq as score

    rate_hz = LISTENING.sample_rate_hz
    both = _in_step(reference_S, heard_S)
    value = float(score(rate_hz, *both, "wb", on_error=PesqError.RETURN_VALUES))
    return value if value > 0 else None
