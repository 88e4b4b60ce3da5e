"""Landing: fetched bytes are frozen under their SHA-256, indexed into batches, and read back from there only."""
