"""What was delivered and what became of each record: deliveries, ledger, locks, quarantine, and whether they agree."""
