"""The ways in which the generated feed breaks its schema."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.feed import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Kind:
    """One way of being bad.

    Attributes:
        rules: The rules of the schema that the record breaks.
        cells: What stands in which columns instead, as bytes, so that anything can.
        surplus: Fields added at the end.
        cut: Fields missing at the end.
    """

    rules: tuple[str, ...]
    cells: Mapping[str, bytes] = field(default_factory=dict)
    surplus: tuple[bytes, ...] = ()
    cut: int = 0


KINDS: Final = (
    Kind(("listed_on__type",), {"listed_on": b"2023-02-30"}),
    Kind(("listed_on__minimum",), {"listed_on": b"1999-12-31"}),
    Kind(("quantity__maximum",), {"quantity": b"10001"}),
    Kind(("quantity__minimum",), {"quantity": b"-1"}),
    Kind(("quantity__type",), {"quantity": b"12 pieces"}),
    Kind(("id__required",), {"id": b""}),
    Kind(("price__required",), {"price": b""}),
    Kind(("price__type",), {"price": b"12.345"}),
    Kind(("price__type",), {"price": b"12345678901.00"}),
    Kind(("weight__type",), {"weight": b"unknown"}),
    Kind(("code__pattern",), {"code": b"abc-12"}),
    Kind(("name__length",), {"name": b"far too long a name " * 4}),
    Kind(("category__allowed",), {"category": b"weapons"}),
    Kind(("active__type",), {"active": b"maybe"}),
    Kind(("counted_at__type",), {"counted_at": b"2024-01-01T25:00:00"}),
    Kind(("changed_at__type",), {"changed_at": b"2024-01-01T10:00:00"}),
    Kind(("record__field_count",), surplus=(b"one", b"too many")),
    Kind(("record__field_count",), cut=3),
    Kind(("record__encoding",), {"name": b"Jos\xe9 Garc\xeda"}),
    Kind(("record__nul",), {"note": b"cut\x00here"}),
    Kind(
        ("code__required", "quantity__type", "listed_on__type"),
        {"code": b"", "quantity": b"many", "listed_on": b"13/04/2023"},
    ),
)
"""Every kind is as frequent as the others."""


def spoil(line: bytes, kind: Kind) -> bytes:
    """Make a good record bad.

    Args:
        line: A good record, with its line end.
        kind: How.

    Returns:
        The bad record as a line.
    """
    [fields] = csv.reader(io.StringIO(line.decode()))
    cells = [kind.cells.get(name, _quoted(value)) for name, value in zip(SCHEMA.names, fields, strict=True)]
    return b",".join([*cells[: len(cells) - kind.cut], *kind.surplus]) + b"\n"


def _quoted(value: str) -> bytes:
    if '"' in value or "," in value:
        value = '"' + value.replace('"', '""') + '"'
    return value.encode()
