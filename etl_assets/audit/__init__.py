"""The auditor: stored tables held against their declarations by Great Expectations, which knows nothing of the ingest.

What a schema declares is said once more as expectations (`suite`), asked of Postgres (`auditor`) and shown as Data Docs
(`documents`). The library takes seconds to import; it is loaded (`library`) by whoever asks, and not before.
"""
