"""The only SQL of the package: connections, tables, COPY, upsert, ledger, quarantine, history, migrations.

Nothing here decides what is right about a record or a feed; it is told, and does it in a transaction of the caller's.
"""
