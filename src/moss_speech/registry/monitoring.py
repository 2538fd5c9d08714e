"""One look at a running service: traffic and canaries measured, compared, filed.

The catalogue holds the figures and the reference, MLflow the curves (runs `monitor`).
"""

import secrets
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.monitor_tables import WATCH_CHARS
from moss_speech.catalogue.monitoring import (
    drifting,
    record_figures,
    reference_values,
    watched_until,
)
from moss_speech.monitoring.canary import Asked, read_canaries
from moss_speech.monitoring.findings import Finding, find, find_canaries
from moss_speech.monitoring.measures import measure
from moss_speech.monitoring.page import Look, write_page
from moss_speech.monitoring.traffic import draw, read_traffic
from moss_speech.params.monitor import Monitor
from moss_speech.registry.tracking import filed_run
from moss_speech.settings import api_key, settings
from moss_speech.storage import write_bytes

RECORDINGS = "recordings"
"""Where the service keeps what clients let it, below the project root."""
RUN = "monitor"


@dataclass(frozen=True)
class Watch:
    """What a look found."""

    page: Path
    alarms: tuple[Finding, ...]
    begun: tuple[Finding, ...]
    """Alarms of figures that had none when they were compared last."""

    def __str__(self) -> str:
        return "; ".join(map(str, self.alarms)) or "no alarm"


def watch(root: Path, p: Monitor, seed: int, now: datetime, new_reference: bool = False) -> Watch:
    """Look at what was recorded since the last look, and ask the canaries.

    `new_reference` begins every reference anew with this window. Raises `ValueError` for a file of
    canaries that cannot be asked, `ConnectionError` if the service is away.
    """
    with catalogue() as session:
        window = (_begin(watched_until(session), p, now), now)
        before = drifting(session)
    findings, set_aside = _traffic(root, p, seed, window, new_reference)
    asked, notes = _canaries(root, p)
    findings += find_canaries(asked, p) if asked else []
    with catalogue() as session:
        rows = [{**asdict(f), "values": list(f.values)} for f in findings]
        record_figures(session, secrets.token_hex(WATCH_CHARS // 2), window, rows)
    page = root / "reports" / RUN / "monitor.md"
    write_bytes(page, write_page(Look(*window, findings, asked, set_aside, notes)).encode())
    _file(findings, page)
    alarms = tuple(finding for finding in findings if finding.drifted)
    begun = tuple(f for f in alarms if (f.figure, f.version) not in before)
    return Watch(page, alarms, begun)


def _begin(watched: datetime | None, p: Monitor, now: datetime) -> datetime:
    """The end of the last window; what should have been deleted by now is not looked at."""
    oldest = now - timedelta(days=settings().record_days)
    return max(watched or now - timedelta(days=p.days), oldest)


def _traffic(
    root: Path, p: Monitor, seed: int, window: tuple[datetime, datetime], anew: bool
) -> tuple[list[Finding], Counter[str]]:
    traffic = read_traffic(root / RECORDINGS, *window)
    measured = measure(draw(traffic.turns, p, seed))
    findings = []
    for key, values in sorted(measured.values.items()):
        with catalogue() as session:
            then = [] if anew else reference_values(session, *key)
        findings.append(find(key, values, then, p, anew))
    return findings, traffic.set_aside + measured.set_aside


def _canaries(root: Path, p: Monitor) -> tuple[list[Asked], list[str]]:
    if p.canary is None:
        return [], ["monitor.canary is null: no canary questions were asked"]
    canaries = read_canaries(root / p.canary)
    if (url := settings().service_url) is None:
        return [], ["MOSS_SERVICE_URL is not set: no canary questions were asked"]
    try:
        from moss_speech.monitoring.asking import ask_canaries
    except ModuleNotFoundError as error:
        raise ValueError(
            f'canary questions need {error.name}: install "moss-speech[talk]"'
        ) from None
    return ask_canaries(canaries, url, api_key()), []


def _file(findings: list[Finding], page: Path) -> None:
    with filed_run(RUN, {}) as tracker:
        for finding in findings:
            numbers = {"": finding.value, "/distance": finding.distance, "/n": float(finding.n)}
            tracker.metrics(
                {f"monitor/{finding.figure}{k}": v for k, v in numbers.items() if v is not None}
            )
        tracker.artifact(page)
