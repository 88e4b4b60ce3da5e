"""DltExtractor: a resource of the library dlt as an extractor, without a pipeline of dlt.

`extractor` has the declaration, `declaration` its checks. `resource` calls the user's function, `items` pulls what the
resource yields, `marks` says what it is. `objects` and `tables` write it as NDJSON or Parquet; `values` and `nested`
help them. `state` keeps where the fetch ended, `errors` replaces the errors of others.

In this package, ``import dlt`` means the library. It is imported when something is fetched, never before.
"""

from etl_assets.extract.dlt.extractor import DltExtractor

__all__ = ["DltExtractor"]
