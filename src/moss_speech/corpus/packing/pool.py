"""Items of one kind and how likely each is drawn: alike, or by shares of language and source."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from moss_speech.corpus.packing.material import Origin
from moss_speech.params.lm import Composition


class _Item(Protocol):
    @property
    def origin(self) -> Origin: ...


T = TypeVar("T", bound=_Item)


def _likelihoods(
    items: Sequence[_Item],
    shares: Mapping[str, float],
    key: Callable[[_Item], str],
    within: Callable[[Sequence[_Item]], list[float]],
) -> list[float]:
    """Of each item: its group's share, shared out in the group by `within`; in sum 1 or 0."""
    if not shares:
        return within(items)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        groups[key(item)].append(index)
    total = sum(shares[name] for name in groups)
    likelihoods = [0.0] * len(items)
    for name, members in groups.items():
        inside = within([items[i] for i in members])
        for index, likelihood in zip(members, inside, strict=True):
            likelihoods[index] = likelihood * shares[name] / total if total else 0.0
    return likelihoods


class Pool(Generic[T]):
    """What is drawn from; a share of 0 leaves a language or a source out."""

    def __init__(self, items: Sequence[T], p: Composition) -> None:
        self._items, self._ends = items, None
        if not p.languages and not p.sources:
            return

        def alike(group: Sequence[_Item]) -> list[float]:
            return [1 / len(group)] * len(group)

        def by_source(group: Sequence[_Item]) -> list[float]:
            return _likelihoods(group, p.sources, lambda x: x.origin.source, alike)

        chances = _likelihoods(items, p.languages, lambda x: x.origin.language, by_source)
        drawn = [(x, chance) for x, chance in zip(items, chances, strict=True) if chance > 0]
        self._items = [item for item, _ in drawn]
        self._ends = np.cumsum([chance for _, chance in drawn])

    def __len__(self) -> int:
        """How many items can be drawn."""
        return len(self._items)

    def pick(self, random: np.random.Generator) -> T:
        """Draw one."""
        if self._ends is None:
            return self._items[int(random.integers(len(self._items)))]
        place = int(np.searchsorted(self._ends, random.random() * self._ends[-1], side="right"))
        return self._items[min(place, len(self._items) - 1)]


def check_shares(items: Sequence[_Item], p: Composition) -> None:
    """`ValueError` unless shares name exactly what the items have; 0 may be named needlessly."""
    found = {
        "languages": {item.origin.language for item in items},
        "sources": {item.origin.source for item in items},
    }
    for name, have in found.items():
        shares: Mapping[str, float] = getattr(p, name)
        if not shares:
            continue
        if unnamed := sorted(have - shares.keys()):
            allowed = "must be named, with 0 to leave it out"
            raise ValueError(f"{name} {sorted(shares)} lack {unnamed[0]!r}, which {allowed}")
        if idle := sorted(n for n, share in shares.items() if share > 0 and n not in have):
            have_names = ", ".join(sorted(have)) or "nothing"
            raise ValueError(
                f"{name}.{idle[0]} is {shares[idle[0]]}, must be 0: the corpus has {have_names}"
            )
