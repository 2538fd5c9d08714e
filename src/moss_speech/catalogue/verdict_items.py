"""Values of single items, so that two models are compared on what both were asked."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.gate_tables import ItemSet, ItemValue


@dataclass(frozen=True)
class ItemFacts:
    """What one item counted for in a figure; `asked` names question and right answer."""

    metric: str
    item: str
    fact: str
    voice: str
    asked: str
    value: float


@dataclass(frozen=True)
class Pairs:
    """Two evaluations of one figure: items that both have, and how many only one has."""

    common: tuple[tuple[ItemFacts, ItemFacts], ...]
    n_other: int

    @property
    def differ(self) -> bool:
        """Whether they were asked different things."""
        return self.n_other > 0


def record_items(session: Session, digest: str, items: Iterable[ItemFacts]) -> None:
    """Write the items of one evaluation of a bundle; one without items is the newest too."""
    made = ItemSet(digest=digest)
    session.add(made)
    session.flush()
    if rows := [{"set_id": made.id, **asdict(item)} for item in items]:
        session.execute(insert(ItemValue), rows)


def last_items(session: Session, digest: str, metric: str) -> dict[str, ItemFacts]:
    """Items of a figure by id, of the newest evaluation of a bundle; none if it has none."""
    newest = select(func.max(ItemSet.id)).where(ItemSet.digest == digest)
    query = select(ItemValue).where(
        ItemValue.set_id == newest.scalar_subquery(), ItemValue.metric == metric
    )
    names = ItemFacts.__dataclass_fields__
    rows = session.scalars(query.order_by(ItemValue.item))
    return {row.item: ItemFacts(**{name: getattr(row, name) for name in names}) for row in rows}


def pair(old: Mapping[str, ItemFacts], new: Mapping[str, ItemFacts]) -> Pairs:
    """Put together what both were asked, in the order of the ids."""
    names = old.keys() | new.keys()
    common = [n for n in sorted(old.keys() & new.keys()) if old[n].asked == new[n].asked]
    return Pairs(tuple((old[n], new[n]) for n in common), len(names) - len(common))
