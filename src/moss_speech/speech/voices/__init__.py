"""Synthesisers behind one protocol: espeak-ng and flite programs, Piper and Kokoro graphs."""
