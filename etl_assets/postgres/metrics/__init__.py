"""What metrics are made of: a few statements over schema ``etl`` and Dagster's storage. Read-only.

No statement reads more of a table of records than an index gives for a bounded number of them.
"""
