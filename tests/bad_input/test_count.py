"""How many kinds of damaged and hostile input the tables of this folder hold."""

from importlib import import_module
from pathlib import Path

TABLES = sorted(p.stem for p in Path(__file__).parent.glob("test_*.py") if p != Path(__file__))
OTHERS = ("PARAMS", "UNHEARD", "SUITE_KINDS", "SHOWN_KINDS", "RUN_KINDS")
"""Lists beside KINDS, whose rows are not among it."""
LEAST = 200


def names_of(table: str) -> set[str]:
    module = import_module(f"tests.bad_input.{table}")
    lists = [getattr(module, name, []) for name in ("KINDS", *OTHERS)]
    return {row.name if hasattr(row, "name") else row[0] for rows in lists for row in rows}


def test_at_least_so_many_kinds_are_tried() -> None:
    kinds = {table.removeprefix("test_"): len(names_of(table)) for table in TABLES}
    said = ", ".join(f"{n} {table}" for table, n in kinds.items())
    print(f"{sum(kinds.values())} kinds of bad input: {said}")
    assert all(kinds.values())
    assert sum(kinds.values()) >= LEAST
