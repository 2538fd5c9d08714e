"""Flow train-pipeline: from a source of speech to a champion."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows._dvc import StageFailedError, open_workspace
from flows._notices import TOLD
from flows._results import file_figures, offer_bundle, publish
from flows._stages import run_stages
from moss_speech.params.presets import use_preset
from moss_speech.params.sections import load_pipeline
from moss_speech.registry.tracking import pipeline_run
from moss_speech.settings import settings
from moss_speech.storage import InUseError


@flow(name="train-pipeline", **TOLD)
def train_pipeline(
    preset: str | None = None,
    from_stage: str | None = None,
    force: bool = False,
    promote: bool = True,
) -> State[str]:
    """Train, judge and offer one model.

    `preset` None takes params.yaml as it is. `from_stage` brings only that stage and what
    depends on it up to date; `force` runs them even if nothing changed.
    """
    root = settings().root
    try:
        with open_workspace(root) as workspace:
            use_preset(root, preset)
            params = load_pipeline(root / "params.yaml")
            with pipeline_run(params.model_dump()) as parent_run:
                reports = run_stages(workspace, parent_run, from_stage, force)
                file_figures(root, parent_run, reports)
                verdict = offer_bundle(root, parent_run, params.gates, promote)
                publish(root, parent_run, reports, verdict)
    except (ValueError, InUseError, StageFailedError) as error:
        return Failed(message=str(error))  # its words are enough
    return Completed(message=verdict)
