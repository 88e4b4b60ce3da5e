"""Does one thing with one format, in a process of its own, and prints JSON.

``python -m benchmarks.formats list`` prints the names, of formats with cases as ``name:case``; ``write NAME PATH MB``
makes a file; ``ours NAME SMALL LARGE`` and ``fastest NAME SMALL LARGE`` time the reading of a large file, after that of
a small one, so that imports do not count.
"""

from __future__ import annotations

import json
import pkgutil
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import formats


def main() -> None:
    """Do what the arguments say."""
    action, *arguments = sys.argv[1:]
    if action == "list":
        result: Any = _names()
    elif action == "write":
        name, path, megabytes = arguments
        module, more = _module(name)
        module.write(Path(path), int(megabytes), *more)
        result = {"streams": getattr(module, "STREAMS", True)}
    else:
        result = _timed(action, *arguments)
    json.dump(result, sys.stdout)


def _names() -> list[str]:
    modules = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    public = [name for name in modules if not name.startswith("_")]
    cases = {name: getattr(_module(name)[0], "CASES", ()) for name in public}
    return [f"{name}:{case}" if case else name for name in public for case in cases[name] or ("",)]


def _module(name: str) -> tuple[Any, tuple[str, ...]]:
    """Return the module of a format, and the case as arguments of its functions."""
    module, _, case = name.partition(":")
    return import_module(f"benchmarks.formats.{module}"), (case,) if case else ()


def _timed(side: str, name: str, small: str, large: str) -> dict[str, float]:
    module, more = _module(name)
    read = getattr(module, side)
    read(Path(small), *more)
    seconds, processor = time.perf_counter(), time.process_time()
    records = read(Path(large), *more)
    seconds, processor = time.perf_counter() - seconds, time.process_time() - processor
    return {"records": records, "seconds": seconds, "processor": processor}


if __name__ == "__main__":
    main()
