"""Strict classes of params.yaml, one file per stage; limits live here, numbers in the presets."""
