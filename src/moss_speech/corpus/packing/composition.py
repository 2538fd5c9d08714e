"""The composition table: what a corpus holds and what went into the packs of each stage."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moss_speech.corpus.items import Split, Utterance
from moss_speech.corpus.packing.account import Account
from moss_speech.storage import read_json, write_bytes, write_json

_FILE, _PAGE = "composition.json", "composition.md"
_SPLITS: tuple[Split, ...] = ("train", "dev", "test")
Row = Mapping[str, Any]
_CORPUS = ("source", "language", "split", "utterances", "with_words", "hours", "voices")
_PACKS = (
    *("stage", "kind", "language", "source", "split", "sequences", "rows", "text_targets"),
    *("speech_targets", "hours", "voices", "too_long"),
)


def corpus_rows(utterances: Iterable[Utterance]) -> list[Row]:
    """Recordings by source, language and split; an item is as held out as its voice or wording."""
    groups: dict[tuple[str, str, str], list[Utterance]] = defaultdict(list)
    for u in utterances:
        split = max(u.voice_split, u.text_split, key=_SPLITS.index)
        groups[u.tags.get("source", "unnamed"), u.language, split].append(u)
    return [
        {
            "source": source,
            "language": language,
            "split": split,
            "utterances": len(group),
            "with_words": sum(bool(u.text) for u in group),
            "hours": sum(u.duration_s for u in group) / 3600,
            "voices": len({u.speaker for u in group}),
        }
        for (source, language, split), group in sorted(groups.items())
    ]


def write_composition(
    folder: Path, utterances: Iterable[Utterance], accounts: Mapping[str, Account]
) -> None:
    """Write the table for programs and for people."""
    packs: list[Row] = [
        {"stage": stage, **row} for stage, a in accounts.items() for row in a.rows()
    ]
    content: dict[str, list[Row]] = {"corpus": corpus_rows(utterances), "packs": packs}
    write_json(folder / _FILE, content)
    write_bytes(folder / _PAGE, markdown(content).encode())


def read_composition(folder: Path) -> dict[str, list[Row]]:
    """What `write_composition` wrote; `ValueError` if it is not there."""
    if not (path := folder / _FILE).is_file():
        raise ValueError(f"{path} is missing: `dvc repro pack` makes it")
    content: dict[str, list[Row]] = read_json(path)
    return content


def markdown(content: Mapping[str, Sequence[Row]]) -> str:
    """Both tables in Markdown; the second with a sum for each stage."""
    packs = content["packs"]
    stages = dict.fromkeys(row["stage"] for row in packs)
    sums = [_sum([row for row in packs if row["stage"] == stage]) for stage in stages]
    parts = [
        "# Composition\n\n## Recordings after cleaning\n",
        _table(content["corpus"], _CORPUS),
        "\n## Packed sequences\n",
        _table([*packs, *sums], _PACKS),
        "\nRows are positions of the grid, targets those of them that are learnt on either "
        "channel. Hours are of speech in the sequences, with its repetitions.\n",
    ]
    return "\n".join(parts)


def _sum(rows: Sequence[Row]) -> Row:
    """All of a stage; voices are left out, since kinds share them."""
    names = {"kind": "all", "language": "", "source": "", "voices": ""}
    same = {key: rows[0][key] for key in ("stage", "split")}
    words = {**same, **names}
    return {key: words[key] if key in words else sum(r[key] for r in rows) for key in rows[0]}


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    head = [name.replace("_", " ") for name in columns]
    lines = [head, ["---"] * len(head)]
    lines += [[_cell(row[name]) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    match value:
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value).replace("|", "\\|")
