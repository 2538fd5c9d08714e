"""Codes to mel: the published flow network, whole and as a stream."""
