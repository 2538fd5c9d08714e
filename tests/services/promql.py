"""Which metrics and labels a PromQL expression uses, held against an exposition."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Served = Mapping[str, list[dict[str, str]]]
"""Labels of every sample by its name."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<range>\[[^\]]*\])"""
    r"""|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?[smhdwy]*)"""
    r"""|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])"""
)
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPEN = {"code", "status"}
"""Labels whose values appear as they happen, so that a query may name one that did not yet."""
_MADE_BY_PROMETHEUS = {"up", "ALERTS"}


@dataclass(frozen=True)
class Selector:
    """A metric with its matchers: label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Used:
    """What an expression reads, and the labels that it groups by."""

    selectors: tuple[Selector, ...]
    groups: frozenset[str]


def served_by(exposition: str) -> Served:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def tokens_of(expression: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"no PromQL at {expression[at : at + 20]!r}")
        if match.lastgroup not in ("space", "range"):
            found.append((str(match.lastgroup), match[0]))
        at = match.end()
    return found


def used_by(expression: str) -> Used:
    tokens = [*tokens_of(expression), ("sign", "")]
    selectors: list[Selector] = []
    groups: set[str] = set()
    i = 0
    while i < len(tokens) - 1:
        (kind, text), following = tokens[i], tokens[i + 1][1]
        i += 1
        if kind != "name" or text.lower() in _WORDS:
            continue
        if text in _GROUPING and following != "(":
            continue
        if text in _GROUPING:
            end = tokens.index(("sign", ")"), i)
            groups |= {word for kind, word in tokens[i:end] if kind == "name"}
            i = end + 1
        elif following == "{":
            end = tokens.index(("sign", "}"), i)
            selectors.append(Selector(text, _matchers(tokens[i + 1 : end])))
            i = end + 1
        elif following not in ("(", "by", "without"):
            selectors.append(Selector(text, ()))
    return Used(tuple(selectors), frozenset(groups))


def _matchers(tokens: list[tuple[str, str]]) -> tuple[tuple[str, str, str], ...]:
    words = [text for _, text in tokens if text != ","]
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return tuple((label, operator, value[1:-1]) for label, operator, value in triples)


def _holds(labels: dict[str, str], matcher: tuple[str, str, str]) -> bool:
    label, operator, value = matcher
    held = labels.get(label, "")
    equal = re.fullmatch(value, held) is not None if operator.endswith("~") else held == value
    return equal != operator.startswith("!")


def faults(expression: str, served: Served) -> list[str]:
    """What the expression uses that is not served."""
    used, found = used_by(expression), []
    if not used.selectors:
        found.append(f"no metric in {expression}")
    for selector in used.selectors:
        if selector.metric in _MADE_BY_PROMETHEUS:
            continue
        if not (samples := served.get(selector.metric)):
            found.append(f"no metric {selector.metric}")
            continue
        wanted = {label for label, _, _ in selector.matchers} | used.groups
        found += [
            f"no label {label} of {selector.metric}"
            for label in sorted(wanted)
            if not all(label in labels for labels in samples)
        ]
        closed = [m for m in selector.matchers if m[0] not in _OPEN]
        if not any(all(_holds(labels, m) for m in closed) for labels in samples):
            found.append(f"no sample of {selector.metric} with {closed}")
    return found
