"""Tests of `etl_assets.redact`."""
