"""`python -m moss_speech.cli`, where the command is not installed, as in a container."""

from moss_speech.cli.main import app

app()
