"""One file for each revision of schema ``etl``, oldest first."""
