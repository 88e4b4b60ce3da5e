"""Measures one side of one format: ``python -m benchmarks.formats NAME ours|fastest SMALL LARGE``; prints JSON.

The small file is read first, so that imports do not count.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Read the small file, then time the reading of the large one."""
    name, side, small, large = sys.argv[1:]
    read = getattr(import_module(f"benchmarks.formats.{name}"), side)
    read(Path(small))
    seconds, processor = time.perf_counter(), time.process_time()
    records = read(Path(large))
    seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    json.dump({"records": records, "seconds": seconds, "processor": processor}, sys.stdout)


if __name__ == "__main__":
    main()
