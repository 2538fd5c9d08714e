"""Training sequences of the language model: composed from a corpus, packed, stored."""
