"""Benchmarks of formats, one module each: ``write`` makes a file, ``ours`` and ``fastest`` read it into frames."""
