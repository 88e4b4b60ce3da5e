"""Metrics in Prometheus' text format, read from run history and Dagster's storage when they are asked for.

Nothing is counted in this process: counters are kept in the database, so that they survive restarts, and any number of
processes export the same.
"""
