"""Datasets are named by their place, without credentials."""

from __future__ import annotations

import pytest

from etl_assets.lineage.datasets import Dataset, published, table


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/data/feeds/a.csv", Dataset("file", "/data/feeds/a.csv")),
        ("file:///data/a.csv", Dataset("file", "/data/a.csv")),
        ("s3://bucket/in/a.csv", Dataset("s3://bucket", "in/a.csv")),
        ("https://ann:pass@example.org:8443/v1/a?token=x#y", Dataset("https://example.org:8443", "v1/a")),
        ("https://example.org", Dataset("https://example.org", "/")),
    ],
)
def test_a_place_is_a_namespace_and_a_name(place: str, expected: Dataset) -> None:
    assert published(place) == expected


def test_a_table_is_named_by_server_database_and_schema() -> None:
    assert table("postgresql://u:p@db.example.org:5433/wh?x=y", "core.a") == Dataset(
        "postgres://db.example.org:5433", "wh.core.a"
    )
    assert table("postgresql://db/wh", "core.a") == Dataset("postgres://db:5432", "wh.core.a")
