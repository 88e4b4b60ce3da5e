"""Whatever a file contains, what is written of it is Python that declares a source, and nothing else."""

from __future__ import annotations

import ast
import csv
import io
import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.errors import EtlAssetsError
from etl_assets.infer import declaration, infer

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(min_size=1, max_size=20) | st.sampled_from(
    ['"""', "\\", "'\"", "\nimport os\n", "#", "\u2028x", "{}", "\\'"]
)
RECORDS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=2, max_size=8)


def written(path: Path) -> str | None:
    try:
        with infer(str(path), "feed", {}) as inference:
            return declaration(inference)
    except EtlAssetsError:
        return None


def assert_harmless(path: Path) -> None:
    text = written(path)
    if text is not None:
        kinds = [type(statement).__name__ for statement in ast.parse(text).body]
        assert kinds == ["Expr", "ImportFrom", "Assign"]
        assert written(path) == text


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS)
def test_any_delimited_text_becomes_one_declaration_and_the_same_one_again(
    tmp_path: Path, records: list[tuple[str, ...]]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(records)
    (tmp_path / "x.csv").write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    assert_harmless(tmp_path / "x.csv")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(TEXTS, TEXTS | st.none() | st.integers(), min_size=1), min_size=1, max_size=6))
def test_any_document_becomes_one_declaration_and_the_same_one_again(
    tmp_path: Path, records: list[dict[str, str | int | None]]
) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"items": records}), "utf-8")
    assert_harmless(tmp_path / "x.json")
