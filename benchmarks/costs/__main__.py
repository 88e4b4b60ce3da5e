"""Measures the scenarios: ``python -m benchmarks.costs``. Ends with 1 if any run did not do what it should."""

from benchmarks.cost_command import run

if __name__ == "__main__":
    run()
