"""Names of a million things in little memory: a temporary file that ends with the process.

Kept by SQLite itself (an unnamed data base), whose pages go to disk when they are many.
"""

import sqlite3


class DiskIndex:
    """Texts by name; each name once."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("CREATE TABLE named (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")

    def add(self, name: str, value: str = "") -> bool:
        """Keep a text; False if the name is taken, and then nothing changes."""
        done = self._rows.execute("INSERT OR IGNORE INTO named VALUES (?, ?)", (name, value))
        return done.rowcount == 1

    def get(self, name: str) -> str | None:
        """The text kept under a name."""
        found = self._rows.execute("SELECT value FROM named WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])
