"""Tests of the package `lineage` and of its sensor."""
