"""A results file that several commands write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.outcome_parts import write_part

if TYPE_CHECKING:
    from pathlib import Path

LOADS = "# Loads\n\nabout\n\n## Times\n\n| 1 |\n"
COSTS = "# Costs\n\nabout\n\n## Times\n\n| 2 |\n"


def test_a_part_replaces_that_with_its_heading_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text(f"{LOADS}\n{COSTS}")
    write_part(path, "# Loads\n\nother\n")
    assert path.read_text() == f"# Loads\n\nother\n\n{COSTS}"


def test_a_new_part_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    write_part(path, LOADS)
    write_part(path, COSTS)
    assert path.read_text() == f"{LOADS}\n{COSTS}"


def test_a_part_that_is_written_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    for part in (LOADS, COSTS, LOADS):
        write_part(path, part)
    assert path.read_text() == f"{LOADS}\n{COSTS}"
