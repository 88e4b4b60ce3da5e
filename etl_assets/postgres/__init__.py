"""The only SQL of the package: connections, tables, COPY, upsert, ledger, quarantine, history, migrations.

Nothing here decides whether a record or a feed is valid: callers decide it, and this package acts in their transaction.
"""
