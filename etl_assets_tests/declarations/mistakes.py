"""What the tables of mistakes have in common: the vocabulary without its types, a source to change, and the assertion.

A type checker would find many of the mistakes. The tables are about those who use none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

import etl_assets
from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Mistake: TypeAlias = tuple[Callable[[], object], str, str]
    """What declares it, the field that the error names, and words of its remedy."""

E: Any = etl_assets
KEY: Any = E.Column("k", "integer", required=True)


def source(**changes: Any) -> Any:
    """Declare the source ``feed`` with other arguments than those of a sound one."""
    sound = {
        "name": "feed",
        "description": "A feed.",
        "owner": "team:feeds",
        "extractor": E.FileExtractor(location="feed.csv", format=E.Csv()),
        "schema": E.Schema((KEY,), ("k",)),
    }
    return E.Source(**sound | changes)


def schema(*columns: Any, key: Any = ("k",), **more: Any) -> Any:
    """Declare the source ``feed`` with more columns, and other arguments of its schema."""
    return source(schema=E.Schema((KEY, *columns), key, **more))


def located(location: Any, **more: Any) -> Any:
    """Declare the source ``feed`` with another location."""
    return source(extractor=E.FileExtractor(location=location, format=E.Csv()), **more)


def tabled(mistakes: Mapping[str, Mistake]) -> pytest.MarkDecorator:
    """Run a test for each mistake of a table, under the name of the mistake."""
    return pytest.mark.parametrize(("declare", "field", "remedy"), mistakes.values(), ids=list(mistakes))


def assert_refused(declare: Callable[[], object], field: str, remedy: str) -> None:
    """Assert that a declaration is refused with an error that names the field and what to do."""
    with pytest.raises(DeclarationError) as raised:
        declare()
    assert raised.value.field == field
    assert raised.value.where
    assert remedy in str(raised.value).partition(f": {field} ")[2]
