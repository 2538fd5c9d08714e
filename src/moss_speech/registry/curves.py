"""Curves of a pipeline's training stages, for the report's page."""

from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.registry.tracking import MAKER_TAG, PARENT_TAG

_MIN_POINTS = 3


def training_curves(parent_run: str) -> dict[str, list[tuple[int, float]]]:
    """Losses by step of every stage under `parent_run`; a skipped stage shows its maker's."""
    client = tracking_client()
    query = f"tags.`{PARENT_TAG}` = '{parent_run}'"
    curves: dict[str, list[tuple[int, float]]] = {}
    for child in client.search_runs([experiment_id()], query, order_by=["start_time ASC"]):
        maker = child.data.tags.get(MAKER_TAG, child.info.run_id)
        if maker == "elsewhere":
            continue
        for name in (n for n in child.data.metrics if "loss" in n):
            points = [(p.step, p.value) for p in client.get_metric_history(maker, name)]
            if len(points) >= _MIN_POINTS:
                curves[name] = sorted(points)
    return curves
