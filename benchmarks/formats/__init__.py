"""One module for each format: a file to read, the format's own reading, and the fastest library's."""
