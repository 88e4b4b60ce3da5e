"""Mistakes in the arguments of `Column`, its rules among them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeclarationError
from etl_assets_tests.declarations.mistakes import E, assert_refused, schema, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake


def column(name: Any, type_: Any = "text", **more: Any) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with one more column."""
    return lambda: schema(E.Column(name, type_, **more))


COLUMNS: dict[str, Mistake] = {
    "an unknown type": (column("a", "int"), "type", "Write 'text', 'integer'"),
    "a Python type": (column("a", int), "type", "Write 'text', 'integer'"),
    "a number as the name": (column(5), "name", "Write a text"),
    "a name with capitals and blanks": (column("A b"), "name", "Use lower-case letters"),
    "no name": (column(""), "name", "Use lower-case letters"),
    "a name of 64 bytes": (column("a" * 64), "name", "at most 63"),
    "a name kept for bookkeeping": (column("_delivery_id"), "name", "Choose another name"),
    "xmin": (column("xmin"), "name", "Choose another, and write published_as"),
    "xmax": (column("xmax"), "name", "Choose another, and write published_as"),
    "cmin": (column("cmin"), "name", "Choose another, and write published_as"),
    "cmax": (column("cmax"), "name", "Choose another, and write published_as"),
    "ctid": (column("ctid"), "name", "Choose another, and write published_as"),
    "tableoid": (column("tableoid"), "name", "Choose another, and write published_as"),
    "published under no name": (column("a", published_as=()), "published_as", "Write the publisher's name"),
    "published under a number": (column("a", published_as=1), "published_as", "Write a text, a tuple of texts or None"),
    "published under names in a list": (column("a", published_as=["b"]), "published_as", "Write a tuple"),
    "derived and published": (column("a", derived=True, published_as="b"), "published_as", "Remove one of the two"),
    "derived by a word": (column("a", derived="yes"), "derived", "Write True or False"),
    "a description that is missing": (column("a", description=None), "description", "Write a text"),
    "a description with a NUL": (column("a", description="a\0b"), "description", "Leave it out"),
    "sensitive by a word": (column("a", sensitive="no"), "sensitive", "Write True or False"),
    "stripped characters": (column("a", strip=" "), "strip", "Write True or False"),
    "a null word without a tuple": (column("a", null="NA"), "null", "Write ('NA',)"),
    "null words in a list": (column("a", null=["NA"]), "null", "Write a tuple, in round brackets"),
    "None as a null word": (column("a", null=(None,)), "null", "Write a tuple of texts"),
    "a default that is a number": (column("a", "integer", default=5), "default", "Write a text or None"),
    "a default of another type": (column("a", "integer", default="x"), "default", "Write it as the publisher would"),
    "an unknown directive": (column("a", "date", formats=("%Q",)), "formats", "%"),
    "a format without a tuple": (column("a", "date", formats="%Y-%m-%d"), "formats", "Write ('%Y-%m-%d',)"),
    "no formats": (column("a", "date", formats=()), "formats", "Use formats for date"),
    "formats of a text": (column("a", formats=("%Y",)), "formats", "Use formats for date"),
    "a zone on Mars": (column("a", "timestamp", zone="Mars/X"), "zone", "'Europe/Paris'"),
    "a zone that is a folder": (column("a", "timestamp", zone="America"), "zone", "'Europe/Paris'"),
    "an offset as the zone": (column("a", "timestamp", zone=UTC), "zone", "Write a text or None"),
    "the zone of a date": (column("a", "date", zone="UTC"), "zone", "Remove it"),
    "a decimal without a scale": (column("a", "decimal", precision=5), "scale", "digits after the point"),
    "100 digits": (column("a", "decimal", precision=100, scale=2), "precision", "<= 38"),
    "more digits after the point than in all": (column("a", "decimal", precision=2, scale=5), "precision", "<= scale"),
    "a scale that is a text": (column("a", "decimal", scale="2"), "scale", "Write an integer or None"),
    "the scale of an integer": (column("a", "integer", scale=2), "precision and scale", "Remove them"),
    "one word for true and false": (
        column("a", "boolean", true=("x",), false=("x",)),
        "true and false",
        "each word only once",
    ),
    "a word for true without a tuple": (column("a", "boolean", true="yes"), "true", "Write ('yes',)"),
    "a word for false without a tuple": (column("a", "boolean", false="no"), "false", "Write ('no',)"),
    "words for true of a text": (column("a", true=("yes",)), "true and false", "Remove them"),
    "no word for true": (column("a", "boolean", true=()), "true and false", "Write a word for each"),
}
RULES: dict[str, Mistake] = {
    "required by a word": (column("a", required="yes"), "required", "Write True or False"),
    "unique by a number": (column("a", unique=1), "unique", "Write True or False"),
    "bounds that exclude all": (column("a", "integer", minimum=5, maximum=1), "minimum", "Exchange them"),
    "the bound of a text": (column("a", minimum=5), "minimum", "Use length, pattern or allowed"),
    "a number as the bound of a date": (column("a", "date", minimum=5), "minimum", "a date"),
    "a text as a bound": (column("a", "integer", minimum="5"), "minimum", "Write a number"),
    "a Boolean as a bound": (column("a", "integer", minimum=True), "minimum", "Write a number"),
    "NaN as a bound": (column("a", "float", maximum=float("nan")), "maximum", "Write a number"),
    "a decimal NaN as a bound": (column("a", "decimal", scale=1, maximum=Decimal("NaN")), "maximum", "Write a number"),
    "an instant as the bound of readings": (
        column("a", "timestamp", minimum=datetime(2024, 1, 1, tzinfo=UTC)),
        "minimum",
        "with a tzinfo for instants alone",
    ),
    "the length of an integer": (column("a", "integer", length=5), "length", "Use minimum, maximum or allowed"),
    "a length of 0": (column("a", length=0), "length", "Write the largest number of characters"),
    "a length that is a text": (column("a", length="5"), "length", "Write an integer or None"),
    "a pattern with an open bracket": (column("a", pattern="[a"), "pattern", "Fix it"),
    "a pattern that looks ahead": (column("a", pattern="(?=x)x"), "pattern", "Write it without look-around"),
    "the pattern of an integer": (column("a", "integer", pattern="x"), "pattern", "Use minimum, maximum or allowed"),
    "a compiled pattern": (column("a", pattern=__import__("re").compile("x")), "pattern", "Write a text or None"),
    "nothing allowed": (column("a", allowed=()), "allowed", "List texts for text"),
    "an allowed text without a tuple": (column("a", allowed="abc"), "allowed", "Write ('abc',)"),
    "allowed texts in a set": (column("a", allowed={"abc"}), "allowed", "Write a tuple, in round brackets"),
    "allowed texts of an integer": (column("a", "integer", allowed=("a",)), "allowed", "integers for integer"),
    "an allowed date": (column("a", "date", allowed=(date(2024, 1, 1),)), "allowed", "Write a tuple of"),
    "a reference to a table": (column("a", references="airports"), "references", "Write schema.table.column"),
    "a reference without a text": (column("a", references=5), "references", "Write a text, a References or None"),
    "an unknown treatment of records without a parent": (
        lambda: E.References("core.x.y", missing="maybe"),
        "missing",
        "Write 'park', 'reject' or 'report'",
    ),
    "a misspelt rule": (column("a", patern="x"), "patern", "Write pattern"),
    "a rule of another library": (column("a", dtype="int64"), "dtype", "Write one of required"),
}


@tabled(COLUMNS)
def test_a_mistake_in_a_column_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(RULES)
def test_a_mistake_in_a_rule_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_the_error_names_the_column_and_what_was_written() -> None:
    with pytest.raises(DeclarationError, match=r"^column 'a': null is 'NA'\. Write \('NA',\)\.$"):
        E.Column("a", "text", null="NA")
    with pytest.raises(DeclarationError, match=r"^column 'a': null contains 1\. Write a tuple of texts\.$"):
        E.Column("a", "text", null=("NA", 1))


def test_columns_with_every_argument_are_accepted() -> None:
    schema(
        E.Column("select", "text", published_as=("A", "B"), default="-", description="d", sensitive=True, strip=True),
        E.Column("b", "boolean", true=("y", "yes"), false=("n",), null=("NA", "")),
        E.Column("c", "timestamp", formats=("%Y%m%d", "%d.%m.%Y"), zone="Europe/Paris", minimum=datetime(2024, 1, 1)),  # noqa: DTZ001 -- a reading of the column's zone
        E.Column("d", "decimal", precision=5, scale=2, minimum=0, maximum=Decimal("9.5"), required=True),
        E.Column("e", "text", length=3, pattern="[a-z]+", allowed=("a", "b"), unique=True, references="core.p.x"),
        E.Column("f", "integer", allowed=(1, 2), references=E.References("core.p.x", missing="reject")),
        E.Column("g", "float", minimum=None, required=False),
        E.Column("a" * 63, "json", unique=True),
    )
