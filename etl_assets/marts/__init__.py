"""Ordinary Dagster assets over the bundled feeds, as a user would write them: pandas in, pandas out."""
