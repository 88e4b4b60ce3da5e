"""One module for each format: a file of it, and its reading by the format and by the fastest library."""
