"""In what runs differ beside their answers: params, data, composition, rejects, where from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moss_speech.evaluation.pages.about import cost, lineage_rows
from moss_speech.evaluation.pages.render import short
from moss_speech.evaluation.pages.subject import Subject

ABSENT = "\N{EN DASH}"
_SPEEDS = {"first_audio_s": "first audio, s", "real_time_factor": "seconds of work a second"}


@dataclass(frozen=True)
class Line:
    """One property of every run; `differs` if not all have the same."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.values)) > 1


def lines(of_runs: Sequence[Mapping[str, str]]) -> list[Line]:
    """Every name that any run has, in the order of its first appearance."""
    names = dict.fromkeys(name for values in of_runs for name in values)
    return [Line(name, tuple(v.get(name, ABSENT) for v in of_runs)) for name in names]


def differing(of_runs: Iterable[Mapping[str, str]]) -> list[Line]:
    """Only the lines in which the runs differ."""
    return [line for line in lines(list(of_runs)) if line.differs]


def params_apart(subjects: Sequence[Subject]) -> list[Line]:
    """Params that differ; empty if a run has none filed."""
    if not all(subject.params for subject in subjects):
        return []
    return sorted(differing(s.params for s in subjects), key=lambda line: line.name)


def data_apart(subjects: Sequence[Subject]) -> list[Line]:
    """Inputs, corpora and sources that differ, digests by their opening."""
    return differing(_data(subject) for subject in subjects)


def _data(subject: Subject) -> dict[str, str]:
    of = subject.lineage
    if of is None:
        return {}
    found = {name: short(digest) for name, digest in of.data.items()}
    found |= {"cleaned corpus": short(of.dataset)} if of.dataset else {}
    for s in of.sources:
        found[f"source {s.name}"] = f"{s.n_utterances} utterances; {s.licence}; {s.consent}"
    return found


def composition(subjects: Sequence[Subject]) -> list[Line]:
    """Clips and minutes of each role, and rejects by reason, of every run."""
    return lines([_composition(s.evaluation.report.get("corpus")) for s in subjects])


def _composition(corpus: Mapping[str, Any] | None) -> dict[str, str]:
    if corpus is None:
        return {}
    found = {
        r["role"]: f"{r['clips']} clips, {r['seconds'] / 60:.1f} min, {r['voices']} voices"
        for r in corpus["composition"]
    }
    reasons = corpus["rejects"]["reasons"].items()
    return found | {f"rejected: {reason}": str(count) for reason, count in reasons}


def speed_and_cost(subjects: Sequence[Subject]) -> list[Line]:
    """Latency and what the stages took."""
    return lines([_speed(subject) for subject in subjects])


def _speed(subject: Subject) -> dict[str, str]:
    found = {t: f"{subject.latency[k]:g}" for k, t in _SPEEDS.items() if k in subject.latency}
    took = cost(subject.stages)
    if took:
        found |= {"time in stages that ran": took["duration"], "CPU time": took["cpu"] or ABSENT}
        found |= {"stages that were up to date": str(took["n_skipped"])}
    return found


def origins(subjects: Sequence[Subject]) -> list[Line]:
    """Run, version, code and corpus of every run."""
    return lines([dict(lineage_rows(subject)) for subject in subjects])
