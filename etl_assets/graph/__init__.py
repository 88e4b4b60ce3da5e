"""Builds everything of Dagster from sources: assets, checks, partitions, jobs, schedules, IO manager, run records."""
