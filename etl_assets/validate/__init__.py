"""From published text to typed rows that keep the schema, and the records that do not.

Here live the Validator stage, the casts and rules as Polars expressions, and the match of published names with
declared columns. Rules that need the table (``unique``, ``references``, the key) are the loader's; storing rejected
records and remembering drift is ``postgres``'s.
"""

from etl_assets.validate.base import Validator
from etl_assets.validate.casts import dtype
from etl_assets.validate.declaration import check_rules
from etl_assets.validate.rule_validator import RuleValidator
from etl_assets.validate.shape import Shape, resolve
from etl_assets.validate.transformed_rows import judge_rows, to_pandas

__all__ = [
    "RuleValidator",
    "Shape",
    "Validator",
    "check_rules",
    "dtype",
    "judge_rows",
    "resolve",
    "to_pandas",
]
