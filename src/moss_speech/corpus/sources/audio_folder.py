"""A folder of one's own recordings, with or without transcripts, perhaps with dialogues.

Files are named by their path inside the folder. `NAME.txt` beside `NAME.wav`, else a table
(`metadata`), else the turn of a dialogue, gives the words; what has none of them is written down by
cleaning. `dialogues.jsonl` says which recordings answer which (`dialogue_rows`).
"""

from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.items import Dialogue, Role, Split
from moss_speech.corpus.sources.dialogue_rows import (
    ROLES,
    DialogueRow,
    dialogue_of,
    read_dialogue_rows,
)
from moss_speech.corpus.sources.files import audio_files
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.metadata import read_metadata, words_of
from moss_speech.corpus.sources.tables import inside, read_text
from moss_speech.params.sources import Folder


def open_folder(source: Folder, intake: Intake) -> Opened:
    """A folder of recordings; raises what `AudioFolder` raises."""
    folder = AudioFolder(source, intake)
    return Opened(folder.items(), folder.dialogues())


class AudioFolder:
    """Reads a folder: tables and dialogues at once, recordings when they are asked for.

    Raises `ValueError` naming the folder if it is missing or holds neither recordings nor
    dialogues, or the row of a table that is wrong, before audio is read.
    """

    def __init__(self, source: Folder, intake: Intake) -> None:
        self._source, self._intake, self._path = source, intake, intake.path
        self._rows = read_metadata(self._path)
        self._talks = list(read_dialogue_rows(self._path / "dialogues.jsonl"))
        if not self._talks and next(audio_files(self._path), None) is None:
            raise ValueError(f"folder {self._path} holds no audio file and no dialogues.jsonl")
        self._parts: dict[str, tuple[Role, Split]] = {}
        self._typed: dict[str, str] = {}
        for row in self._talks:
            split = self._split(row)
            for name, turn in row.recorded:
                self._parts.setdefault(name, (ROLES[turn.role], split))
                if turn.text is not None:
                    self._typed.setdefault(name, turn.text)
        self._taken: dict[str, tuple[str, str]] = {}

    def items(self) -> Iterator[Item | Quarantined]:
        """Every recording, in the order of their names."""
        for found in audio_files(self._path):
            if isinstance(found, Quarantined):
                yield found
                continue
            name = found.relative_to(self._path).as_posix()
            item = self._item(name, found)
            if isinstance(item, Item) and name in self._parts:
                self._taken[name] = item.id, item.text
            yield item

    def dialogues(self) -> Iterator[Dialogue]:
        """Every dialogue; a turn whose recording was quarantined keeps its text, if it has one."""
        for number, row in enumerate(self._talks):
            item_id = f"{self._source.name}-{number:03d}"
            yield dialogue_of(item_id, row, self._split(row), self._taken.get)

    def _item(self, name: str, file: Path) -> Item | Quarantined:
        speaker = self._speaker(name)
        if speaker is None:
            allowed = "a folder, or a row of metadata, that names the speaker"
            return Quarantined(name, "speaker", "none", allowed)
        try:
            words = self._words(name, file)
        except ValueError as error:
            return Quarantined(name, "transcript", str(error), "UTF-8 text")
        split = self._intake.split(speaker)
        role, text_split = self._parts.get(name, ("recording", split))
        is_answer = role == "answer" and self._source.split == "auto"
        facts = Facts(
            name=name.removesuffix(file.suffix),
            text=words,
            speaker=speaker,
            voice_split="train" if is_answer else split,
            text_split=text_split,
            language=self._source.language,
            role=role,
        )
        return self._intake.file(facts, file)

    def _words(self, name: str, file: Path) -> str | None:
        if file.with_suffix(".txt").is_file():
            beside = Path(name).with_suffix(".txt").as_posix()
            return read_text(inside(self._path, beside, "a transcript"))
        return words_of(self._rows[name]) if name in self._rows else self._typed.get(name)

    def _speaker(self, name: str) -> str | None:
        """As declared, or by the folder or the row that the source names."""
        source, folders = self._source, Path(name).parts[:-1]
        if source.speaker is not None:
            return source.speaker
        if source.speaker_folder is not None:
            found = folders[source.speaker_folder - 1 : source.speaker_folder]
            return self._intake.speaker(found[0]) if found else None
        row = self._rows.get(name)
        named = None if row is None else row.text(str(source.speaker_column))
        return self._intake.speaker(named.strip()) if named and named.strip() else None

    def _split(self, row: DialogueRow) -> Split:
        """That of whoever is heard first; typed dialogues are split by their words.

        The assistant speaks in all splits: its voice is one of training.
        """
        for name, _ in row.recorded:
            if (speaker := self._speaker(name)) is not None:
                return self._intake.split(speaker)
        return self._intake.split(row.typed)
