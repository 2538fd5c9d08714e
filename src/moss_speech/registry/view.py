"""What MLflow's page of runs opens with: pipelines side by side, by the figures that matter."""

import json

from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.registry.tracking import PIPELINE, STAGE_TAG

COLUMNS = (
    "metrics.`accuracy/s2s`",
    "metrics.`accuracy/s2t`",
    "metrics.`speech_gap`",
    "metrics.`accuracy/t2t`",
    "metrics.`text/items_below`",
    "metrics.`latency/first_audio_s`",
    "metrics.`system/busy_s`",
    "metrics.`system/cpu_s`",
    "attributes.`Dataset`",
    "attributes.`Models`",
)
"""Columns in their order, as MLflow names them (docs/reference/tracking.md)."""
_KEY = "pipelines"
_TAG = f"mlflow.sharedViewState.{_KEY}"
"""MLflow keeps views that people share in tags of the experiment."""


def pipelines_view() -> str:
    """Save the view in the store; returns its address on an MLflow server."""
    view = {
        "searchFilter": f"tags.`{STAGE_TAG}` = '{PIPELINE}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
    }
    tracking_client().set_experiment_tag(experiment_id(), _TAG, json.dumps(view))
    return f"#/experiments/{experiment_id()}/runs?viewStateShareKey={_KEY}"
