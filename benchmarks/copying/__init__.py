"""A table of a million rows is copied from one PostgreSQL database to another: by this package, by dlt, and by psql."""
