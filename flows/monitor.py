"""Flow monitor: look at a running service, raise alarms, have the model trained anew."""

from datetime import UTC, datetime

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed

from flows._notices import TOLD
from moss_speech.notices import Notice, notify
from moss_speech.params.sections import load_pipeline
from moss_speech.registry.monitoring import watch
from moss_speech.settings import settings

RETRAINING = "train-pipeline/train-pipeline"


@flow(name="monitor", **TOLD)
def monitor(new_reference: bool = False) -> State[str]:
    """Measure what was recorded since the last look, ask the canaries, compare, tell.

    `new_reference` takes this window as what later ones are compared with.
    """
    root = settings().root
    params = load_pipeline(root / "params.yaml")
    try:
        found = watch(root, params.monitor, params.seed, datetime.now(UTC), new_reference)
    except (ValueError, ConnectionError) as error:
        return Failed(message=str(error))  # its words are enough
    create_markdown_artifact(found.page.read_text(), "monitor", "Figures of this window")
    if found.alarms:
        notify(Notice("drift", f"monitor/{runtime.flow_run.name}", str(found)))
    if found.begun and params.monitor.retrain:
        run_deployment(RETRAINING, timeout=0, as_subflow=False)
    return Completed(message=str(found))
