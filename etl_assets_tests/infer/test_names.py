"""Which names of sources are allowed, and which one a file suggests."""

from __future__ import annotations

import pytest

from etl_assets.errors import DeclarationError
from etl_assets.infer import infer, source_name
from etl_assets.infer.names import check_source_name


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("my-sales", "my_sales"), ("Sales", "sales"), ("2024-sales", "feed_2024_sales"), ("_sales", "sales")],
)
def test_a_name_that_is_not_allowed_is_refused_with_one_that_is(name: str, allowed: str) -> None:
    with pytest.raises(DeclarationError, match=f"begin with a letter, e.g. {allowed};"):
        check_source_name(name)


def test_a_name_of_51_characters_is_refused() -> None:
    check_source_name("a" * 50)
    with pytest.raises(DeclarationError, match="at most 50"):
        check_source_name("a" * 51)


def test_a_name_that_dagster_keeps_is_refused() -> None:
    with pytest.raises(DeclarationError, match="config_feed"):
        check_source_name("config")


def test_a_name_is_refused_before_the_file_is_opened() -> None:
    with pytest.raises(DeclarationError, match="is not allowed, and nothing was written"), infer("none", "2024", {}):
        pass


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("feeds/Daily Sales.csv.gz", "daily_sales"),
        ("https://example.org/data/2024-sales.csv?page=2", "feed_2024_sales"),
        ("C:\\feeds\\sales.csv", "sales"),
        ("config.json", "config_feed"),
        (f"{'a' * 49}-b.csv", "a" * 49),
        ("\u65e5\u672c.csv", "column"),
        ("_.csv", "column"),
    ],
)
def test_the_name_that_a_file_suggests_is_allowed(location: str, name: str) -> None:
    assert source_name(location) == name
    check_source_name(name)
