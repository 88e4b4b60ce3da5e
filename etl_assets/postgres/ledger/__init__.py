"""Deliveries, the ledger, the quarantine and the locks, and the checks that they agree with each other."""
