"""Tests of the health of tables."""
