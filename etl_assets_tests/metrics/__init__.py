"""Tests of the package `metrics`, of its alert rules and of its dashboard."""
