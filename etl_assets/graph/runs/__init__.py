"""Runs: their jobs, their lines in the run history, retries, and the runs whose process is gone."""
