"""What the train pipeline ends with: the bundle offered to the registry, tables and links."""

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows._stages import StageReport, busy_seconds
from moss_speech.evaluation.names import scalars, speeds
from moss_speech.evaluation.pages.single import render_single
from moss_speech.evaluation.report import FOLDER, LATENCY, METRICS, latest_report
from moss_speech.params.base import load_section
from moss_speech.params.evaluate import Evaluate
from moss_speech.params.gates import Gates
from moss_speech.registry.gates import may_register
from moss_speech.registry.lineage import record_data
from moss_speech.registry.promotion import offer
from moss_speech.registry.runs import FiledRun
from moss_speech.registry.store import tracking_client
from moss_speech.registry.subjects import subject_of
from moss_speech.registry.tracking import MlflowTracker
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.storage import read_json, tree_digest, write_bytes


@task(cache_policy=NO_CACHE, persist_result=False)
def offer_bundle(root: Path, parent_run: str, gates: Gates, promote: bool) -> str:
    """Register the bundle with its figures and promote it if its gates hold; says what happened."""
    if not may_register(gates, root):
        return "not promoted: this preset registers nothing outside a temporary root"
    reports = root / "reports"
    candidate = Candidate(
        bundle=root / "models" / "bundle",
        metrics=latest_report(root),
        report=reports / "evaluation",
        dataset=record_data(root / "data" / "corpus", root / "data" / "clean"),
    )
    version = register_candidate(candidate, parent_run)
    if not promote:
        return f"version {version} registered; not promoted: promotion was not asked for"
    return str(offer(version, gates))


def accuracy_rows(root: Path) -> list[dict[str, object]]:
    """Figures of the last evaluation as rows: name, value, 95 % interval, items."""
    accuracy = read_json(root / "reports" / "metrics.json")["accuracy"]
    return [
        {
            "figure": name,
            "value": round(figure["value"], 3),
            "95 %": " to ".join(f"{bound:.2f}" for bound in figure["ci95"]),
            "n": figure["n"],
        }
        for name, figure in accuracy.items()
    ]


def file_figures(root: Path, parent_run: str, reports: list[StageReport]) -> None:
    """File what tables of pipelines compare on the parent run: figures, speed, cost, data."""
    figures = scalars(read_json(root / "reports" / METRICS))
    figures |= speeds(read_json(root / "reports" / LATENCY))
    ran = [report for report in reports if report.outcome == "ran"]
    figures |= {
        "system/cpu_s": sum(report.cpu_s for report in ran),
        "system/busy_s": busy_seconds(reports),
        "system/peak_mb": float(max((report.peak_mb for report in ran), default=0)),
    }
    tracker = MlflowTracker(parent_run)
    tracker.metrics(figures)
    tracker.flush()
    clean = root / "data" / "clean"
    tracker.datasets({clean: tree_digest(clean)})


def write_page(root: Path, parent_run: str) -> Path:
    """Write the page of a whole run to reports/report.html and file it with the run."""
    p = load_section(root / "params.yaml", "evaluate", Evaluate)
    run = FiledRun(tracking_client().get_run(parent_run))
    subject = subject_of(run, root / "reports" / FOLDER)
    target = root / "reports" / "report.html"
    write_bytes(target, render_single(subject, p.page).encode())
    MlflowTracker(parent_run).artifact(target)
    return target


@task(cache_policy=NO_CACHE, persist_result=False)
def publish(root: Path, parent_run: str, reports: list[StageReport], verdict: str) -> None:
    """Show stages, figures, verdict and links on the run's page."""
    create_table_artifact([report.row() for report in reports], "stages", "What each stage did")
    create_table_artifact(accuracy_rows(root), "accuracy", "Right answers on the test split")
    run = {"verdict": verdict, "seconds in stages": round(busy_seconds(reports), 1)}
    create_table_artifact([run], "verdict", "What became of the bundle")
    page = write_page(root, parent_run)
    create_link_artifact(page.as_uri(), page.name, "report", "Figures, plots and sound")
    note = f"MLflow run `{parent_run}`; `make ui` shows it"
    create_markdown_artifact(note, "mlflow-run", "Curves, params and files of every stage")
    get_run_logger().info("%s", verdict)
