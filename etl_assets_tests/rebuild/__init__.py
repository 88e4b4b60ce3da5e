"""Tests of `etl_assets.rebuild`."""
