"""Flow evaluate: judge the bundle again."""

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows._dvc import open_workspace
from flows._notices import TOLD
from flows._results import accuracy_rows, file_figures
from flows._stages import run_stages
from moss_speech.registry.tracking import pipeline_run
from moss_speech.settings import settings


@flow(name="evaluate", **TOLD)
def evaluate(force: bool = False) -> None:
    """Bring reports/ up to date with models/bundle; `force` judges even if nothing changed."""
    root = settings().root
    with open_workspace(root) as workspace, pipeline_run({"from_stage": "evaluate"}) as parent_run:
        reports = run_stages(workspace, parent_run, "evaluate", force)
        file_figures(root, parent_run, reports)
    create_table_artifact(accuracy_rows(root), "accuracy", "Right answers on the test split")
