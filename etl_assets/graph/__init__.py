"""From sources to Dagster: assets, checks, partitions, jobs, schedules, the IO manager, run records."""
