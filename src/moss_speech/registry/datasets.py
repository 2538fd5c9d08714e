"""What a run was made from, as MLflow's page shows it: data sets by name and digest."""

import json
from collections.abc import Mapping
from pathlib import Path

from moss_speech.registry.store import tracking_client

_DIGEST_CHARS = 36
"""The longest digest that MLflow takes."""


def log_datasets(run_id: str, digests: Mapping[Path, str]) -> None:
    """File folders of data as inputs of a run."""
    from mlflow.entities import Dataset, DatasetInput

    sets = [
        Dataset(folder.name, digest[:_DIGEST_CHARS], "local", json.dumps({"uri": str(folder)}))
        for folder, digest in digests.items()
    ]
    if sets:
        inputs = [DatasetInput(dataset, tags=[]) for dataset in sets]
        tracking_client().log_inputs(run_id, datasets=inputs)
