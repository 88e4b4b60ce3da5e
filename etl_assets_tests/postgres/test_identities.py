"""The identity of a rejected record: what the database would compute, so that cases of earlier versions go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger.cases import identities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.postgres.connection import Connection

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
_OF_KEYS = "SELECT sha256(convert_to('key ' || %s || chr(10) || array_to_json(%s::text[])::text, 'UTF8'))"
_OF_BYTES = "SELECT sha256(convert_to('content ' || %s || chr(10), 'UTF8') || %s)"


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with connected(migrated_url) as connection:
        yield connection


def identity(key: Sequence[str] | None, raw: bytes, partition: str, scope: str) -> bytes:
    records = pl.DataFrame({"raw": [raw], "key": [key]}, schema={"raw": pl.Binary, "key": pl.List(pl.String)})
    (found,) = identities(records, partition, scope).to_list()
    return bytes(found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing is written
@given(st.lists(_TEXTS, min_size=1, max_size=3), _TEXTS)
def test_the_identity_of_a_key_is_the_hash_of_its_json_array(
    connection: Connection, key: list[str], scope: str
) -> None:
    expected = connection.execute(_OF_KEYS, (scope, key)).fetchone()
    assert (identity(key, b"", "p", scope),) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing is written
@given(st.binary(max_size=9), _TEXTS)
def test_the_identity_of_a_record_without_a_key_is_the_hash_of_its_partition_and_bytes(
    connection: Connection, raw: bytes, partition: str
) -> None:
    expected = connection.execute(_OF_BYTES, (partition, raw)).fetchone()
    assert (identity(None, raw, partition, "any"),) == expected
