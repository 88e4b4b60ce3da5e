"""Each format against the fastest library that reads the same file into a frame.

A module for each format has three functions: ``write(path, megabytes)`` makes a file of about that size, ``ours(path)``
reads it through the format into frames, and ``fastest(path)`` reads it with a library. The last two return the number
of records. A format that does not stream has ``STREAMS = False``. With ``CASES``, each function has a case as its last
argument.

``python -m benchmarks.formats`` writes and reads these files, each in a process of its own.
"""
