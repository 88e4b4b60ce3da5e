"""Runs: their rows in the run history, retries, crashed runs, and the sensors that watch them and send alerts."""
