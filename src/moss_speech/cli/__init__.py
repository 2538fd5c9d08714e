"""The `moss-speech` command."""

from moss_speech.cli.main import app

__all__ = ["app"]
