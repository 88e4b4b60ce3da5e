"""Databases: the extractor, what it asks each kind of database, and how the rows are frozen."""

from etl_assets.extract.database.extractor import DatabaseExtractor

__all__ = ["DatabaseExtractor"]
