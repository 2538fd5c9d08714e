"""What the platform remembers: data and their licences, verdicts, evaluations, promotions."""
