"""Extract: where bytes come from, how they are packed, and what records they hold. Nothing here judges values."""
