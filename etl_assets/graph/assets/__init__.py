"""The assets of a source and their checks, and the IO manager that stores them."""
