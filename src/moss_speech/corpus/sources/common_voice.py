"""Common Voice as it is unpacked: tables of tab-separated columns beside the folder clips."""

from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.items import Split
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import inside, read_table
from moss_speech.params.sources import CommonVoice

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
WHOLE = "validated.tsv"
COLUMNS = ("client_id", "path", "sentence")


def open_common_voice(source: CommonVoice, intake: Intake) -> Opened:
    """The rows of train, dev and test, else of validated; `ValueError` if no table is there."""
    tables: list[tuple[Path, Split | None]] = [
        (table, split) for split in SPLITS if (table := intake.path / f"{split}.tsv").is_file()
    ]
    if not tables and (whole := intake.path / WHOLE).is_file():
        tables = [(whole, None)]
    if not tables:
        raise ValueError(f"{intake.path} holds no train.tsv, dev.tsv, test.tsv or {WHOLE}")
    if not (intake.path / "clips").is_dir():
        raise ValueError(f"{intake.path} holds no folder clips, must hold the recordings there")
    return Opened(_items(intake, tables))


def _items(intake: Intake, tables: list[tuple[Path, Split | None]]) -> Iterator[Item | Quarantined]:
    clips = intake.path / "clips"
    for table, own in tables:
        for row in read_table(table, COLUMNS, delimiter="\t", quote=None):
            speaker = intake.speaker(row.need("client_id"))
            file = inside(clips, row.need("path"), f"{row.where}: path")
            split = intake.split(speaker, own)
            language = intake.language(row.text("locale"))
            text = row.text("sentence")
            yield intake.file(Facts(file.stem, text, speaker, split, split, language), file)
