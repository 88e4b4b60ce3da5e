"""A random table is written in every format and packed at random; what is landed and read is the table.

What a format cannot hold, and so is not expected, is written at its `Form`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets import FileExtractor, Partition
from etl_assets.landing import LandingStore, batches, land
from etl_assets.schema import RECORD_NO
from etl_assets_tests.extract.table_writers import FORMS, LONGEST, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from etl_assets.model.batch import RawBatch
    from etl_assets_tests.extract.table_writers import Form

_CHARACTERS: Final = st.sampled_from("abN01\"'\\\n\r\t ,;|<&>]{}[]()-/*#$`_^x\x01\x1a\x85\u00a0é€\ufeff\ufffd😀")
_TEXTS: Final = st.one_of(
    st.text(_CHARACTERS | st.characters(codec="utf-8"), max_size=12),
    st.from_regex("0[0-9]{1,20}", fullmatch=True) | st.just("0123"),
    st.text(_CHARACTERS, min_size=1, max_size=4).map(lambda text: (text * LONGEST)[:LONGEST]),
    st.sampled_from(["", " ", "NULL", "null", "\\N", "\\.", "NaN", "true", "1e5", "=1+1", "_x0041_", "]]>", "&amp;"]),
)


def _zipped(files: Sequence[bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.part", data)
    return packed.getvalue()


def _tarred(files: Sequence[bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, data in enumerate(files):
            about = tarfile.TarInfo(f"{number}.part")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return packed.getvalue()


_SIZES: Final = st.sampled_from([2_000, 2**20])
_NULLS: Final = st.sampled_from([(), ("NULL", "0123")])
_STREAMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
_ARCHIVES: Final[dict[str, Callable[[Sequence[bytes]], bytes]]] = {
    "zip": _zipped,
    "tar": _tarred,
    "tar.gz": lambda files: gzip.compress(_tarred(files)),
}


@st.composite
def _tables(draw: st.DrawFn, form: Form) -> Table:
    forbidden = re.compile(f"[{form.forbidden}]")
    texts = _TEXTS.map(lambda text: forbidden.sub("", text))
    if form.names is None:
        characters = st.text(_CHARACTERS, min_size=1, max_size=8) | st.sampled_from(["*", "^.*$", "\"'`", "a.b", " "])
        names = characters.map(lambda name: forbidden.sub("", name).strip("\ufeff"))
    else:
        names = st.text(form.names, max_size=5).map(lambda name: f"a{name}")
    columns = draw(st.lists(names.filter(bool), min_size=1, max_size=3, unique=True))
    rows = draw(st.lists(st.tuples(*[st.none() | texts] * len(columns)), min_size=1, max_size=8))
    return Table(tuple(columns), tuple(rows))


def _packed(form: Form, table: Table, packing: str, first: int) -> bytes:
    """Write the table; in an archive, its rows are in two members."""
    if packing in _STREAMS:
        return _STREAMS[packing](form.write(table))
    parts = [rows for rows in (table.rows[:first], table.rows[first:]) if rows]
    return _ARCHIVES[packing]([form.write(Table(table.names, rows)) for rows in parts])


def _expected(form: Form, table: Table, null: Sequence[str]) -> list[dict[str, str | None]]:
    names = [form.prefix + name for name in table.names]
    rows = [tuple(map(form.read_as, row)) for row in table.rows]
    values = [[None if value in null else value for value in row] for row in rows if form.blank_rows or any(row)]
    return [dict(zip(names, row, strict=True)) for row in values]


def _rows(found: Sequence[RawBatch], names: Sequence[str]) -> list[dict[str, str | None]]:
    assert all(batch.malformed.is_empty() for batch in found)
    rows = [row for batch in found for row in batch.frame.to_dicts()]
    assert [row.pop(RECORD_NO) for row in rows] == list(range(1, len(rows) + 1))
    assert not {name for row in rows for name in row} - {*names}
    return [{name: row.get(name) for name in names} for row in rows]


def _read(form: Form, table: Table, packed: bytes, folder: Path, **options: Any) -> list[dict[str, str | None]]:
    """Land the bytes of a file and read the records from the landing store."""
    (folder / "table").write_bytes(packed)
    format_ = replace(form.format(table), **options)
    extractor = FileExtractor(format_, str(folder / "table"), settle_seconds=0)
    store = LandingStore(str(folder / "landing"))
    found = list(batches(extractor, store, land(extractor, Partition(), store)))
    return _rows(found, [form.prefix + name for name in table.names])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_random_table_is_read_back_equal(form: Form, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tables")

    @settings(max_examples=form.examples, suppress_health_check=[HealthCheck.too_slow])
    @given(_tables(form), st.sampled_from([*_STREAMS, *_ARCHIVES]), st.integers(0, 8), _SIZES, _NULLS)
    def is_read_back(table: Table, packing: str, first: int, size: int, null: tuple[str, ...]) -> None:
        longest = max(sum(len(value or "") for value in row) for row in table.rows)
        size += 12 * longest  # a record fits, whatever is escaped
        packed = _packed(form, table, packing, first)
        assert _read(form, table, packed, folder, null=null, batch_bytes=size) == _expected(form, table, null)

    is_read_back()


@pytest.mark.parametrize("form", [form for form in FORMS.values() if form.names is None])
def test_columns_that_are_named_like_patterns_of_columns_have_their_own_values(form: Form, tmp_path: Path) -> None:
    table = Table(("*", "^.*$", "x"), (("NULL", '";', "c"), ('d";', "NULL", "")))
    null = ("NULL",)
    assert _read(form, table, form.write(table), tmp_path, null=null) == _expected(form, table, null)
