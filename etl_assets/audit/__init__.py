"""Audit stored tables against their declarations with Great Expectations, independently of the ingest.

Module `suite` translates a schema into expectations, `auditor` evaluates them in Postgres, and `data_docs` writes the
results as pages. Great Expectations takes seconds to import, so module `library` loads it only when an audit needs it.
"""
