"""Infers the declaration of a column from its cells: type, notation, null words, allowed values, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets.infer.moments import find_moments
from etl_assets.infer.money import MINOR_DIGITS, is_currency, is_money
from etl_assets.infer.readings import read_values, reads_all, unreadable
from etl_assets.schema import Column
from etl_assets.schema.names import column_name
from etl_assets.schema.type_inference import is_null_word
from etl_assets.schema.types import MAX_DECIMAL_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.batch import PublishedType
    from etl_assets.schema import TypeName

_BOOLEANS: Final = (
    *(("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("t", "f"), ("yes", "no"), ("Yes", "No")),
    *(("YES", "NO"), ("Y", "N"), ("y", "n")),
)
_MONEY: Final = 4
"""If all numbers have the same number of digits after the point, and no more than this, they are money."""
_MOST_MEMBERS: Final = 12
_FEWEST_OF_A_MEMBER: Final = 20
_LONGEST_MEMBER: Final = 30
_NEARLY_ALL: Final = 0.95
_SHOWN: Final = 3
_NEVER_NUMBERS: Final = frozenset(
    {
        *("zip", "zipcode", "postcode", "postal", "plz", "fips", "phone", "telephone", "tel", "mobile", "fax"),
        *("iban", "isbn", "ean", "gtin", "upc", "siren", "siret", "ssn"),
    }
)
"""Digits in columns with such a name are not for computing, and may begin with zeros in other deliveries."""
_CODE_WORDS: Final = _NEVER_NUMBERS | {"code"}


@dataclass(frozen=True)
class PublishedColumn:
    """The cells of a column in a sample.

    Attributes:
        name: As published.
        cells: String, one for each record.
        decimal: The character before the fraction of a number.
        canonical: See `RawBatch`.
        type: The type that the file has, if it has types.
    """

    name: str
    cells: pl.Series
    decimal: str = "."
    canonical: bool = False
    type: PublishedType | None = None

    @property
    def counts(self) -> pl.DataFrame:
        """The different ``value``s and the ``count`` of each, without nulls, by value."""
        cells = self.cells.drop_nulls().alias("value").value_counts()
        return cells.select("value", "count").sort("value")


@dataclass(frozen=True)
class InferredColumn:
    """A column as it might be declared.

    Attributes:
        published: Its published name.
        column: The declaration.
        evidence: What was seen, as a short text.
        doubts: What a person must decide, each as a text.
        nulls: Number of records without a value.
        distinct: Number of different values.
        longest: Length of the longest value, in characters.
        same_length: Whether all values have the same length.
    """

    published: str
    column: Column
    evidence: str
    doubts: tuple[str, ...] = ()
    nulls: int = 0
    distinct: int = 0
    longest: int = 0
    same_length: bool = False


@dataclass
class _Findings:
    """What is to be declared of a column, and what is doubtful."""

    type: TypeName = "text"
    arguments: dict[str, Any] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def infer_column(published: PublishedColumn, name: str) -> InferredColumn:
    """Infer a column.

    Args:
        published: Its cells.
        name: The name that it gets in the table.
    """
    counts = published.counts
    values = counts.get_column("value")
    frame = values.alias("cell").to_frame()
    words = frame.filter(is_null_word(pl.col("cell"))).get_column("cell")
    rest = values.filter(~values.is_in(words.implode())) if len(words) else values
    findings = _type_of(published, rest)
    if findings.type != "text" and len(words) and not _reads(findings, published, words):
        findings.arguments["null"] = tuple(words.to_list())
    if findings.type == "text":
        _describe_text(findings, published, counts, words)
    column = Column(
        name, findings.type, published_as=None if name == published.name else published.name, **findings.arguments
    )
    nulls = published.cells.null_count() + _records_without_value(counts, column)
    return InferredColumn(
        published.name,
        column,
        _evidence(published, column, nulls, values),
        tuple(findings.doubts),
        nulls,
        len(values),
        _greatest(values.str.len_chars()),
        values.str.len_chars().n_unique() == 1,
    )


def _records_without_value(counts: pl.DataFrame, column: Column) -> int:
    """Return the number of records whose cell is a null word, or blank if blanks are removed."""
    value = pl.col("value").str.strip_chars() if column.strip else pl.col("value")
    words = ("", *column.null) if column.strip else column.null
    return int(counts.filter(value.is_in(words)).get_column("count").sum())


def _reads(findings: _Findings, published: PublishedColumn, cells: pl.Series) -> bool:
    column = Column("x", findings.type, **findings.arguments)
    return reads_all(column, cells, published.decimal, canonical=published.canonical)


def _type_of(published: PublishedColumn, values: pl.Series) -> _Findings:
    """Return the narrowest type that reads all values, or text."""
    if published.type is not None and published.type != "text":
        return _of_published_type(published.type, values)
    stripped = values.str.strip_chars()
    padded = int((stripped != values).sum())
    present = stripped.filter(stripped != "").unique().sort()
    if present.is_empty():
        doubt = "it has no value in this file: text until one comes"
        return _Findings(arguments={"strip": True} if padded else {}, doubts=[doubt])
    for findings in _candidates(present, published):
        if padded:
            findings.arguments["strip"] = True
        if _reads(findings, published, values):
            return findings
    findings = _Findings(doubts=_signs(present, published) or _odd_values(values, published))
    if padded:
        findings.arguments["strip"] = True
        findings.doubts.append(f"{padded:,} different values have blanks around them, which strip=True removes")
    return findings


def _of_published_type(type_: PublishedType, values: pl.Series) -> _Findings:
    if type_ == "instant":
        return _Findings("timestamp", {"zone": "UTC"})
    if type_ == "decimal":
        return _Findings("decimal", {"scale": _greatest(values.str.extract(r"\.([0-9]*)\z").str.len_bytes())})
    return _Findings(type_)


def _candidates(values: pl.Series, published: PublishedColumn) -> Iterator[_Findings]:
    """Yield the types that the values of a column may have, with their notation, the narrowest first."""
    for true, false in _BOOLEANS:
        found = set(values.to_list())
        if found == {true, false} or (true.lower() == "true" and found <= {true, false}):
            words = {} if (true, false) == ("true", "false") else {"true": (true,), "false": (false,)}
            yield _Findings("boolean", words)
    yield _Findings("uuid")
    if (moments := find_moments(values)) is not None:
        yield from _of_moments(moments)
    if not _has_word(published.name, _NEVER_NUMBERS) and not values.str.contains(r"\A(?:\+|-?0[0-9])").any():
        if not is_currency(published.name):
            yield _Findings("integer")
        yield from _of_fractions(values, published)
    if values.str.contains(r"\A[\[{]").all():
        yield _Findings("json")


def _of_moments(moments: Any) -> Iterator[_Findings]:
    if moments.others:
        choices = " or ".join(f"formats=({format_!r},)" for format_ in (*moments.formats, *moments.others))
        doubt = f"dates, but no value decides how they are written. Declare it as {moments.type!r} with {choices}"
        yield _Findings(doubts=[doubt])
        return
    findings = _Findings(moments.type)
    if (formats := moments.declared_formats) is not None:
        findings.arguments["formats"] = formats
    if moments.type == "timestamp" and not moments.has_offset:
        if moments.has_offset is None:
            findings.arguments["zone"] = "UTC"
        findings.doubts.append("values without an offset: declare the zone='…' that they are in, if it is known")
    if moments.future is not None:
        findings.doubts.append(f"two-digit years: the last day is read as {moments.future}, in the future. Is it?")
    yield findings


def _of_fractions(values: pl.Series, published: PublishedColumn) -> Iterator[_Findings]:
    """Yield decimal or float for numbers with fractions: decimal for money, and where a float loses digits; or text."""
    plain = values.str.replace(published.decimal, ".", literal=True)
    parts = plain.str.extract_groups(r"\A[+-]?([0-9]*)\.?([0-9]*)\z").struct.unnest()
    if parts.to_series(0).null_count():
        yield _Findings("float")
        return
    whole, fraction = (parts.to_series(n).str.len_bytes() for n in (0, 1))
    scale, digits = _greatest(fraction), _greatest(whole) + _greatest(fraction)
    is_amount = is_money(published.name) or (fraction.n_unique() == 1 and 0 < scale <= _MONEY)
    are_floats = _are_floats(plain)
    if digits <= MAX_DECIMAL_DIGITS and (is_amount or not are_floats):
        least = MINOR_DIGITS if is_currency(published.name) else 0
        yield _Findings("decimal", {"scale": max(scale, least)})
    elif are_floats:
        yield _Findings("float")
    else:
        yield _Findings(
            doubts=["numbers with more digits than a decimal or a float can keep: text, so that none is lost"]
        )


def _are_floats(values: pl.Series) -> bool:
    """Return whether the shortest text of the float of each value is the same number."""
    shortest = values.cast(pl.Float64, strict=False).cast(pl.String)
    return shortest.null_count() == 0 and all(
        Decimal(one) == Decimal(other) for one, other in zip(values, shortest, strict=True)
    )


def _greatest(lengths: pl.Series) -> int:
    greatest = lengths.max()
    return greatest if isinstance(greatest, int) else 0


def _signs(values: pl.Series, published: PublishedColumn) -> list[str]:
    """Return a doubt if values are numbers but for a plus, which is lost, or points that may separate thousands."""
    shown = ", ".join(map(repr, values.head(_SHOWN).to_list()))
    if values.str.starts_with("+").any() and reads_all(Column("x", "float"), values, published.decimal):
        return [f"numbers like {shown}, which would lose the + before them, as that of a telephone: are they amounts?"]
    if published.decimal == "," and values.str.contains(".", literal=True).any() and _are_with_thousands(values):
        return [f"numbers like {shown}: does the point separate thousands, or is it before a fraction?"]
    return []


def _are_with_thousands(values: pl.Series) -> bool:
    return bool(values.str.contains(r"\A[+-]?[0-9]{1,3}(?:\.[0-9]{3})*(?:,[0-9]+)?\z").all())


def _odd_values(values: pl.Series, published: PublishedColumn) -> list[str]:
    """Return a doubt if nearly all values have a type that a few have not."""
    for type_ in ("integer", "float", "date", "timestamp"):
        odd = unreadable(Column("x", type_, strip=True), values, published.decimal, canonical=published.canonical)
        if 0 < len(odd) <= (1 - _NEARLY_ALL) * len(values):
            shown = ", ".join(map(repr, odd.head(_SHOWN).to_list()))
            return [f"{type_} but for {len(odd):,} of {len(values):,} different values: {shown}"]
    return []


def _describe_text(findings: _Findings, published: PublishedColumn, counts: pl.DataFrame, words: pl.Series) -> None:
    """Add to a text what may be none of its values, and the only values that it has if they are few."""
    for word in words.to_list():
        findings.doubts.append(f"{word!r} may mean that there is no value: declare null=({word!r},) if it does")
    values = counts.get_column("value")
    members = len(values)
    rows = int(counts.get_column("count").sum())
    if (
        1 < members <= _MOST_MEMBERS
        and rows >= _FEWEST_OF_A_MEMBER * members
        and _greatest(values.str.len_chars()) <= _LONGEST_MEMBER
        and not findings.arguments.get("strip")
        and words.is_empty()
    ):
        findings.arguments["allowed"] = tuple(values.to_list())
    if _has_word(published.name, _CODE_WORDS) and not values.is_empty() and values.str.contains(r"\A[0-9]+\z").all():
        findings.doubts.append("digits, kept as text: a code and not a number")


def _has_word(name: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint(column_name(name).split("_"))


def _evidence(published: PublishedColumn, column: Column, nulls: int, values: pl.Series) -> str:
    """Return what was seen of a column: values, empty cells, different values, and the range of what is ordered."""
    records = len(published.cells)
    filled = records - nulls
    count = "1 value" if filled == 1 else f"{filled:,} values"
    parts = [count + (f", {nulls:,} empty" if nulls else "")]
    if filled > 1:
        parts.append(f"{len(values):,} different")
    if column.type.is_ordered and not values.is_empty():
        read = read_values(column, values, published.decimal, canonical=published.canonical).get_column("value")
        if read.null_count() < len(read):
            parts.append(f"from {read.min()!s} to {read.max()!s}")
    elif column.type.name == "text" and not values.is_empty():
        lengths = values.str.len_chars()
        parts.append(f"{lengths.min()!s} to {lengths.max()!s} characters")
    return ", ".join(parts)
