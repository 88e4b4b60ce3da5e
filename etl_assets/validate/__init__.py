"""From published text to typed rows that keep the schema, and the records that do not.

Here live the Validator stage, the casts as Polars expressions, the carrying out of rules, and the match of published
names with declared columns. Rules that need the table (``unique``, ``references``, the key) are the loader's.
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
