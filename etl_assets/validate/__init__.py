"""Validate records: turn published text into typed rows that keep the schema, and find the records that break it.

This package has the Validator stage, the casts as Polars expressions, the evaluation of rules, and the match of
published names with declared columns. The loader evaluates rules that need the table: ``unique``, ``references``, key.
"""

from etl_assets.validate.base import Validator
from etl_assets.validate.rule_validator import RuleValidator
from etl_assets.validate.shape import Shape, resolve
from etl_assets.validate.transformed_rows import validate_rows

__all__ = [
    "RuleValidator",
    "Shape",
    "Validator",
    "resolve",
    "validate_rows",
]
