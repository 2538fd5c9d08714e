"""moss-speech: train, judge, promote and serve true speech-to-speech language models."""

__version__ = "0.1.0"
