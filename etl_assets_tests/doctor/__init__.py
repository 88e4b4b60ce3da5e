"""Tests of ``etl_assets.doctor``."""
