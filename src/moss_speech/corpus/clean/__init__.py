"""What keeps broken, doubled, leaking or wrongly transcribed items out of training."""
