"""Memory that a batch frees serves the next batch."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS_OF_ROUNDS = """
import resource
{before}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def blocks():
    return [bytearray(b"x") * (6 * 1024 * 1024) for _ in range(4)]
blocks()
begun = faults()
for _ in range(10):
    blocks()
print(faults() - begun)
"""


def _faults(before: str) -> int:
    program = _FAULTS_OF_ROUNDS.format(before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other C libraries")
def test_blocks_that_were_freed_are_taken_again_without_new_pages() -> None:
    kept = _faults("from etl_assets.ingest.freed_memory import keep_freed_memory; keep_freed_memory()")
    assert kept < _faults("") / 3
