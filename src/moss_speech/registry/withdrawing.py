"""To forget somebody: the withdrawal is recorded, exported to the pipeline, shown on every version.

The catalogue decides; withdrawn.jsonl and the tags in MLflow follow it and can be written again.
Gates ask the catalogue, so that a version is refused that is registered after the withdrawal too.
"""

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from moss_speech.catalogue.consents import Whose, newest, record_consent, withdrawn
from moss_speech.catalogue.data import known_names
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import versions_that_heard, withdrawals_touching
from moss_speech.corpus.clean.withdrawn import FILE, Withdrawal, write_withdrawn
from moss_speech.registry.affected import corpus_names
from moss_speech.registry.store import MODEL, GoneError, asking_entry, tracking_client

WITHDRAWN_TAG = "moss.withdrawn"


def forget(whose: Whose, reason: str, recorded_by: str, root: Path) -> None:
    """Record that consent is withdrawn and mark what heard it; once more changes nothing.

    `ValueError` for a name that neither a recorded dataset nor data/corpus has, with similar ones.
    """
    here = corpus_names(root / "data" / "corpus")
    with catalogue() as session:
        known = known_names(session)
        _require_known("speaker", whose.speaker, known.speakers | here.speakers)
        _require_known("source", whose.source, known.sources | here.sources)
        last = newest(session, whose)
        if last is None or last.state != "withdrawn":
            record_consent(session, "withdrawn", whose, reason, recorded_by)
    follow_catalogue(root)


def give(whose: Whose, terms: str, recorded_by: str, root: Path) -> None:
    """Record that consent is given, also after a withdrawal."""
    with catalogue() as session:
        record_consent(session, "given", whose, terms, recorded_by)
    follow_catalogue(root)


def _require_known(what: str, name: str | None, known: frozenset[str]) -> None:
    if name is None or name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"; similar ones are {', '.join(near)}" if near else ""
    raise ValueError(f"neither a recorded dataset nor data/corpus has a {what} {name!r}{hint}")


def follow_catalogue(root: Path) -> None:
    """Make the pipeline's file and the versions' tags what the catalogue says."""
    with catalogue() as session:
        rows = withdrawn(session)
        heard = {h.version for w in rows for h in versions_that_heard(session, w.speaker, w.source)}
    path = root / FILE
    write_withdrawn(path, [Withdrawal(w.source, w.speaker) for w in rows])
    for version in sorted(heard | _tagged()):
        with suppress(GoneError), asking_entry(version):
            _show(version, withdrawal_reason(version))


def _show(version: int, reason: str) -> None:
    if reason:
        tracking_client().set_model_version_tag(MODEL, str(version), WITHDRAWN_TAG, reason)
    else:
        tracking_client().delete_model_version_tag(MODEL, str(version), WITHDRAWN_TAG)


def _tagged() -> set[int]:
    found = tracking_client().search_model_versions(f"name = '{MODEL}'")
    return {int(entry.version) for entry in found if WITHDRAWN_TAG in entry.tags}


def withdrawal_reason(version: int) -> str:
    """Why a version may neither be promoted nor served again; empty if nobody withdrew."""
    with catalogue() as session:
        gone = withdrawals_touching(session, version)
    if not gone:
        return ""
    whose = ", ".join(f"{Whose(w.source, w.speaker)} ({w.since:%F})" for w in gone)
    return f"version {version} heard who withdrew consent: {whose}; train one without them"
