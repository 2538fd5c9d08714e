"""What the stores know of a run, brought together for its report."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moss_speech.catalogue.data import dataset_of, sources_of
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version, version_of_run
from moss_speech.catalogue.promotions import history
from moss_speech.catalogue.tables import ModelVersion
from moss_speech.evaluation.pages.saved import ITEMS, REPORT, open_evaluation
from moss_speech.evaluation.pages.subject import Curve, Decision, Lineage, Source, Stage, Subject
from moss_speech.evaluation.report import FOLDER, LATENCY, latest_report
from moss_speech.registry.runs import (
    FiledRun,
    artifact_folder,
    children,
    find_run,
    latest_pipeline,
    made_by,
)
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.tracking import COMMIT_TAG, INPUT_TAG, STAGE_TAG, WORKSPACE_TAG
from moss_speech.settings import settings
from moss_speech.storage import read_json

if TYPE_CHECKING:
    from mlflow.entities import Run

_MIN_POINTS = 3
_TRAINING = ("init_", "train_", "pretrain_", "finetune")
"""How the names of stages that train begin."""
_ELSEWHERE = "elsewhere"


def find_subject(name: str) -> Subject:
    """What a report on `name` is about: an evaluation's folder, `latest`, or a filed run.

    `ValueError` says what is unknown, missing or damaged.
    """
    if name == "latest":
        return latest_subject()
    if name and (folder := Path(name)).is_dir():
        return Subject(folder.resolve().name, open_evaluation(folder, settings().root))
    return subject_of(find_run(name))


def latest_subject() -> Subject:
    """The newest evaluation below the project root, with the pipeline that made it if filed."""
    root = settings().root
    latency = latest_report(root).get("latency", {})
    folder, run = root / "reports" / FOLDER, latest_pipeline()
    if run is not None and _is_of(run, folder):
        return subject_of(FiledRun(run), folder)
    speeds = {key: value for key, value in latency.items() if isinstance(value, float)}
    return Subject("newest evaluation", open_evaluation(folder, root), speeds)


def subject_of(filed: FiledRun, folder: Path | None = None) -> Subject:
    """The evaluation that a run made, and all that is filed of the run.

    `folder` has the evaluation where it is at hand; else it is taken from the run's artifacts.
    """
    run, stages = filed.run, children(filed.run)
    folder = folder or _evaluation(run, stages)
    if folder is None:
        raise ValueError(
            f"run {run.info.run_id} ({run.info.status.lower()}) has no evaluation: neither it nor "
            f"its stage evaluate filed {REPORT} and {ITEMS}"
        )
    lineage = _lineage(filed, stages)
    named = f"version {lineage.version}" if lineage.version else f"run {run.info.run_id[:8]}"
    return Subject(
        name=named,
        evaluation=open_evaluation(folder, settings().root),
        latency=_latency(stages),
        curves=_curves(stages),
        stages=[_stage(stage) for stage in stages],
        params=run.data.params,
        packs=_packs(stages),
        lineage=lineage,
    )


def _named(stages: "Sequence[Run]", name: str) -> "Run | None":
    return next((s for s in stages if s.data.tags.get(STAGE_TAG) == name), None)


def _maker(stage: "Run") -> str | None:
    """The run that holds a stage's artifacts and curves; None if no run here does."""
    maker = made_by(stage) or stage.info.run_id
    return None if maker == _ELSEWHERE else maker


def _evaluation(run: "Run", stages: "Sequence[Run]") -> Path | None:
    """The folder of the run's evaluation; a skipped one is with the run that made it."""
    places = [(run.info.run_id, "report"), (run.info.run_id, FOLDER.name)]
    stage = _named(stages, "evaluate")
    if stage is not None and (maker := _maker(stage)):
        places.append((maker, FOLDER.name))
    found = (artifact_folder(*place) for place in places)
    return next((folder for folder in found if folder and (folder / REPORT).is_file()), None)


def _is_of(run: "Run", folder: Path) -> bool:
    """Whether the evaluation in `folder` is the one that the run filed."""
    filed = _evaluation(run, children(run))
    here = folder / REPORT
    if filed is None or not here.is_file():
        return False
    return (filed / REPORT).read_bytes() == here.read_bytes()


def _latency(stages: "Sequence[Run]") -> dict[str, float]:
    stage = _named(stages, "evaluate")
    group = f"{LATENCY.stem}/"
    metrics = stage.data.metrics if stage else {}
    return {key.removeprefix(group): v for key, v in metrics.items() if key.startswith(group)}


def _curves(stages: "Sequence[Run]") -> dict[str, Curve]:
    """What each training stage filed by step; a skipped stage shows its maker's."""
    found: dict[str, Curve] = {}
    for stage in (s for s in stages if s.data.tags.get(STAGE_TAG, "").startswith(_TRAINING)):
        if (maker := _maker(stage)) is None:
            continue
        for name in stage.data.metrics:
            filed = tracking_client().get_metric_history(maker, name)
            points = sorted((p.step, p.value) for p in filed)
            if len(points) >= _MIN_POINTS:
                found[name] = points
    return found


def _packs(stages: "Sequence[Run]") -> Sequence[Mapping[str, Any]]:
    stage = _named(stages, "pack")
    maker = _maker(stage) if stage else None
    folder = artifact_folder(maker, "packs") if maker else None
    if folder is None or not (folder / "composition.json").is_file():
        return ()
    composition = read_json(folder / "composition.json")
    packs = composition.get("packs") if isinstance(composition, dict) else None
    return packs if isinstance(packs, list) else ()


def _stage(run: "Run") -> Stage:
    ended_ms = run.info.end_time or run.info.start_time
    metrics = run.data.metrics
    return Stage(
        name=run.data.tags.get(STAGE_TAG, run.info.run_name or ""),
        status=run.info.status,
        duration_s=(ended_ms - run.info.start_time) / 1000,
        cpu_s=metrics.get("system/cpu_s"),
        peak_mb=metrics.get("system/peak_mb"),
        made_by=made_by(run),
    )


def _lineage(filed: FiledRun, stages: "Sequence[Run]") -> Lineage:
    run, tags = filed.run, filed.run.data.tags
    version = _version(filed)
    return Lineage(
        run_id=run.info.run_id,
        status=run.info.status.lower(),
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        commit=tags.get(COMMIT_TAG, ""),
        uncommitted=tags.get("moss.uncommitted") == "true",
        workspace=tags.get(WORKSPACE_TAG, ""),
        version=version.version if version else None,
        digest=version.digest if version else "",
        aliases=_aliases(version.version) if version else (),
        data=dict(_inputs(stages)),
        **(_provenance(version) if version else {}),
    )


def _version(filed: FiledRun) -> ModelVersion | None:
    """The version that was named, else the last one that the run offered."""
    with catalogue() as session:
        if filed.version is not None:
            return find_version(session, filed.version)
        return version_of_run(session, filed.run.info.run_id)


def _aliases(version: int) -> list[str]:
    return sorted(tracking_client().get_model_version(MODEL, str(version)).aliases)


def _inputs(stages: "Sequence[Run]") -> Iterator[tuple[str, str]]:
    """Digest of every input of the stages by its name."""
    for stage in stages:
        for tag, value in sorted(stage.data.tags.items()):
            if tag.startswith(INPUT_TAG):
                yield tag.removeprefix(INPUT_TAG), value


def _provenance(version: ModelVersion) -> dict[str, Any]:
    """Corpus, sources and decisions, as the catalogue has them."""
    with catalogue() as session:
        dataset = dataset_of(session, version)
        sources = sources_of(session, dataset) if dataset else []
        decided = [(p, o) for p, o in history(session) if p.new_version == version.version]
    return {
        "dataset": dataset.digest if dataset else "",
        "sources": [Source(s.name, s.licence, s.consent, s.n_utterances) for s in sources],
        "decisions": [
            Decision(
                p.kind,
                o.result if o else "unfinished",
                p.approved_by,
                (o or p).recorded_at,
                o.reason if o else "",
            )
            for p, o in reversed(decided)
        ],
    }
