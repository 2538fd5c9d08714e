"""Which versions' files must stay: whatever is served, may be gone back to, or may be promoted."""

from datetime import timedelta

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.deployments import served_since
from moss_speech.catalogue.models import all_versions
from moss_speech.catalogue.promotions import current, history
from moss_speech.catalogue.tables import ModelVersion, now
from moss_speech.registry.versions import APPROVED, CANDIDATE, CHAMPION, version_with
from moss_speech.registry.withdrawing import withdrawal_reason
from moss_speech.settings import settings


def kept_versions() -> dict[int, str]:
    """Why each version that must stay does, by its number.

    A version that heard who withdrew stays only while it is champion or served: it can neither be
    promoted nor gone back to.
    """
    chosen = settings()
    with catalogue() as session:
        versions = {row.version: row for row in all_versions(session)}
        champion, decided = current(session), history(session)
        served = served_since(session, now() - timedelta(days=chosen.keep_served_days))
        running = served_since(session, now() - timedelta(minutes=10))
    reasons: dict[int, str] = {}
    last = sorted(versions)[max(0, len(versions) - chosen.keep_candidates) :]
    reasons |= dict.fromkeys(last, f"one of the last {chosen.keep_candidates} candidates")
    for promotion, outcome in decided:
        if outcome is None or outcome.result == "committed":
            reasons[promotion.new_version] = "was champion" if outcome else "is being promoted"
    reasons |= _served(versions, served, f"served in the last {chosen.keep_served_days} days")
    for alias in (CANDIDATE, APPROVED):
        if (number := version_with(alias)) is not None:
            reasons[number] = f"has the alias {alias}"
    reasons = {n: why for n, why in reasons.items() if not withdrawal_reason(n)}
    reasons |= _served(versions, running, "is served now")
    for number in (champion.new_version if champion else None, version_with(CHAMPION)):
        if number is not None:
            reasons[number] = "is the champion"
    return reasons


def _served(versions: dict[int, ModelVersion], digests: set[str], why: str) -> dict[int, str]:
    return {number: why for number, row in versions.items() if row.digest in digests}
