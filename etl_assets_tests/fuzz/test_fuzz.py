"""Some hundred mutated files of every target, the same each time, and every file that once broke an invariant."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from etl_assets_tests.fuzz.invariants import examine
from etl_assets_tests.fuzz.mutations import mutated
from etl_assets_tests.fuzz.targets import TARGETS

CASES = sorted((Path(__file__).parent / "cases").glob("*/*"))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_keep_the_invariants(name: str) -> None:
    target = TARGETS[name]
    assert all(examine(target.format, sample) > 0 for sample in target.samples)
    for data in islice(mutated(target.samples, Random(name)), target.inputs):  # noqa: S311 -- no secret
        examine(target.format, data)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_that_once_broke_an_invariant_no_longer_does(case: Path) -> None:
    examine(TARGETS[case.parent.name].format, case.read_bytes())
