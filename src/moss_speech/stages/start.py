"""Stage start: the model that training goes on from → models/start."""

from moss_speech.params.start import StartParams
from moss_speech.registry.start import bring_start
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir

Section = StartParams


def run(p: StartParams, io: StageIO) -> None:
    """Bring the model that the params name; what its address leads to now is the result."""
    with fresh_dir(io.output) as out:
        bring_start(p.model, out)
