"""The flows that Prefect runs: when, in what order, with which gates."""
