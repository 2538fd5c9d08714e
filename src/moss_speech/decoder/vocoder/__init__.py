"""Mel to audio: networks behind one interface, whole and as a stream."""
