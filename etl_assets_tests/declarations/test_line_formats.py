"""Mistakes in the arguments of formats with one record a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets_tests.declarations.mistakes import E, assert_refused, tabled
from etl_assets_tests.extract.access_log import AccessLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake


def log(**changes: Any) -> Callable[[], object]:
    return lambda: AccessLog(**changes)


def field(*place: Any, **changes: Any) -> Callable[[], object]:
    return lambda: E.Field("a", *place, **changes)


def fixed(*fields: Any, **changes: Any) -> Callable[[], object]:
    """Declare a format of one field, or of these, with other arguments."""
    return lambda: E.FixedWidth(fields or (E.Field("a", 2, 5),), **changes)


def coded(**changes: Any) -> Callable[[], object]:
    """Declare a format with a record code at the start."""
    return fixed(**{"code": E.RecordCode(1, 1, records=("D",))} | changes)


MISTAKES: dict[str, Mistake] = {
    "an encoding that does not exist": (log(encoding="klingon"), "encoding", "Write one like 'utf-8'"),
    "an encoding of mail": (log(encoding="utf-7"), "encoding", "Write one like 'utf-8'"),
    "lines to skip below 0": (log(skip_lines=-1), "skip_lines", "Write how many lines come before the records"),
    "a null word without a tuple": (log(null="-"), "null", "Write ('-',)"),
    "a semicolon before the fraction": (log(decimal=";"), "decimal", "Write '.' or ','"),
    "an unknown consequence": (log(unterminated="ignore"), "unterminated", "Write 'reject', 'report' or 'refuse'"),
    "a batch of 0 bytes": (log(batch_bytes=0), "batch_bytes", "Write 64 to"),
    "a batch of ten gigabytes": (log(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "an argument without its name": (lambda: E.FixedWidth((), 1, True, None, None, None, "utf-8"), "arguments", ""),  # noqa: FBT003 -- the mistake
    "a field without a name": (lambda: E.Field("", 1, 2), "name", "or Filler for positions without one"),
    "a field at position 0": (field(0, 2), "start", "Count positions from 1"),
    "a field without an end": (field(1), "length", "Write one of them"),
    "a field with an end and a length": (field(1, 2, 2), "length", "Write one of them"),
    "a field of no characters": (field(1, length=0), "length", "1 or more"),
    "a field that ends before its start": (field(3, 2), "end", "Write the last position"),
    "a field that is stripped of zeros": (field(1, 2, strip="0"), "strip", "Write 'both', 'left' or 'right' or None"),
    "filler at position 0": (lambda: E.Filler(0, 1), "start", "Count positions from 1"),
    "filler of no characters": (lambda: E.Filler(1, length=0), "length", "1 or more"),
    "a code of no characters": (lambda: E.RecordCode(1, length=0), "length", "1 or more"),
    "a code of no record": (lambda: E.RecordCode(1, 1, records=()), "records", "or None for every code"),
    "codes without a tuple": (lambda: E.RecordCode(1, 1, records="D"), "records", "Write ('D',)"),
    "no fields": (lambda: E.FixedWidth(()), "fields", "Write Field(name, start, end)"),
    "filler alone": (fixed(E.Filler(1, 2)), "fields", "Write Field(name, start, end)"),
    "one field without a tuple": (lambda: E.FixedWidth(E.Field("a", 1, 2)), "fields", "Write (a Field,)"),
    "a field as a tuple": (fixed(("a", 1, 2)), "fields", "Write a tuple of"),
    "fields of one name": (fixed(E.Field("a", 1, 2), E.Field("a", 3, 4)), "fields", "Give each field a name"),
    "fields that overlap": (fixed(E.Field("a", 1, 3), E.Field("b", 3, 4)), "fields", "Correct the positions"),
    "a field within another": (fixed(E.Field("a", 1, 9), E.Field("b", 3, 4)), "fields", "Correct the positions"),
    "filler over a field": (fixed(E.Field("a", 1, 3), E.Filler(2, 2)), "fields", "Correct the positions"),
    "a field outside the record": (fixed(length=4), "fields", "or the length of the record"),
    "a record of no characters": (fixed(length=0), "length", "Write the number of characters of a record"),
    "a reserved name": (fixed(E.Field("_record_no", 1, 3)), "names", "Give each a name of its own"),
    "a code outside the record": (coded(code=E.RecordCode(6, 6)), "code", "or the length of the record"),
    "a code of another length": (coded(code=E.RecordCode(1, 1, records=("DD",))), "code", "Write a code of 1"),
    "a code that is read and skipped": (
        coded(code=E.RecordCode(1, 1, records=("D",), skipped=("D",))),
        "code",
        "Write each code once",
    ),
    "a header without a code": (fixed(header=E.HeaderRecord("H")), "header", "Write code=RecordCode(start, end)"),
    "a trailer without a code": (fixed(trailer=E.TrailerRecord("T")), "trailer", "Write code=RecordCode(start, end)"),
    "a header with the code of a record": (coded(header=E.HeaderRecord("D")), "header", "Write each code once"),
    "a header of a longer code": (coded(header=E.HeaderRecord("HD")), "header", "Write a code of 1"),
    "a header's field outside the record": (
        coded(header=E.HeaderRecord("H", (E.Field("day", 4, 8),))),
        "header",
        "or the length of the record",
    ),
    "a header's field with the name of another": (
        coded(header=E.HeaderRecord("H", (E.Field("a", 4, 5),))),
        "header",
        "Give it a name of its own",
    ),
    "a trailer outside the record": (
        coded(trailer=E.TrailerRecord("T", E.Field("n", 4, 8))),
        "trailer",
        "or the length of the record",
    ),
    "a trailer that includes a header that there is not": (
        coded(trailer=E.TrailerRecord("T", E.Field("n", 2, 3), ("header",))),
        "trailer",
        "Write header=HeaderRecord(code)",
    ),
    "a trailer that includes something else": (
        lambda: E.TrailerRecord("T", None, ("blank",)),
        "includes",
        "Write a tuple of 'header' or 'trailer'",
    ),
}


@tabled(MISTAKES)
def test_a_mistake_in_a_format_of_lines_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_formats_of_lines_with_every_argument_are_accepted() -> None:
    AccessLog(encoding="cp1252", skip_lines=2, null=("-",), decimal=",", unterminated="refuse", batch_bytes=64)
    E.FixedWidth(
        (E.Field("b", 5, length=2, strip="left"), E.Field("a", 2, 4, strip=None), E.Filler(7, 9, blank=True)),
        20,
        short_records=True,
        code=E.RecordCode(1, 1, skipped=("S",)),
        header=E.HeaderRecord("H", (E.Field("day", 2, 9),)),
        trailer=E.TrailerRecord("T", E.Field("n", 2, 20), ("header", "trailer")),
        encoding="utf-16",
    )
