"""The contract of a feed: columns with their types, the rules of values and of whole records, and the key.

This package has the declared values, the checks that they are sound, and each rule in two forms: as an expression over
records, and as an audit of the stored table. ``validate`` evaluates rules on records. Nothing here sends SQL.
"""

from etl_assets.model.batch import RECORD_NO
from etl_assets.schema.column import Column
from etl_assets.schema.names import BOOKKEEPING, DELETED_AT, DELIVERY_ID, ROW_HASH
from etl_assets.schema.partition_by import PartitionBy
from etl_assets.schema.repeated_keys import Greatest
from etl_assets.schema.rules import ForeignKey, RecordRule, Rule, UniqueTogether
from etl_assets.schema.rules.references import References
from etl_assets.schema.schema import Schema
from etl_assets.schema.types import DataType, TypeName, canonical_type

__all__ = [
    "BOOKKEEPING",
    "DELETED_AT",
    "DELIVERY_ID",
    "RECORD_NO",
    "ROW_HASH",
    "Column",
    "DataType",
    "ForeignKey",
    "Greatest",
    "PartitionBy",
    "RecordRule",
    "References",
    "Rule",
    "Schema",
    "TypeName",
    "UniqueTogether",
    "canonical_type",
]
