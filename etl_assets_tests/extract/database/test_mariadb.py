"""MariaDB as a source, by a server of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import Database, DatabaseExtractor, Incremental, Partition, Secret
from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets_tests.extract.database.frozen import freeze

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.extract.database.conftest import Shop

TYPES = {
    "tiny": ("TINYINT", "-128", "-128", "integer"),
    "yes": ("TINYINT(1)", "1", "1", "text"),
    "big": ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615", "integer"),
    "padded": ("INT(8) ZEROFILL", "42", "42", "integer"),
    "exact": ("DECIMAL(38,9)", "-12345678901234567890123456789.123456789", None, "decimal"),
    "longest": ("DECIMAL(65,30)", "12345678901234567890123456789012345.000000000000000000000000000001", None, "text"),
    "single": ("FLOAT", "0.1", "0.10000000149011612", "float"),
    "twice": ("DOUBLE", "0.1", "0.1", "float"),
    "day": ("DATE", "'2024-02-29'", "2024-02-29", "date"),
    "reading": ("DATETIME(6)", "'2024-02-29 23:59:59.000001'", "2024-02-29 23:59:59.000001", "timestamp"),
    "instant": ("TIMESTAMP(3)", "'2024-02-29 23:59:59.5'", "2024-02-29 23:59:59.5+00:00", "instant"),
    "clock": ("TIME(6)", "'23:59:59.999999'", "23:59:59.999999", "time"),
    "year": ("YEAR", "2024", "2024", "integer"),
    "bits": ("BIT(10)", "b'1000000001'", "513", "integer"),
    "fixed": ("CHAR(5)", "'ab'", "ab", "text"),
    "varying": ("VARCHAR(20)", "'Žluťoučký 😀'", "Žluťoučký 😀", "text"),
    "old": ("VARCHAR(20) CHARACTER SET latin1", "'Zürich'", "Zürich", "text"),
    "long": ("LONGTEXT", "'a\\nb\\tc'", "a\nb\tc", "text"),
    "raw": ("VARBINARY(4)", "X'00FF10'", "00ff10", "text"),
    "blob": ("BLOB", "X'DEADBEEF'", "deadbeef", "text"),
    "one": ("ENUM('small','large')", "'large'", "large", "text"),
    "many": ("SET('a','b','c')", "'a,c'", "a,c", "text"),
    "doc": ("JSON", "'{\"a\": 12345678901234567890.5}'", '{"a": 12345678901234567890.5}', "text"),
    "place": ("POINT", "ST_GeomFromText('POINT(1 2.5)', 4326)", "SRID=4326;POINT(1 2.5)", "text"),
    "uid": ("UUID", "'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000", "text"),
    "net": ("INET6", "'::1'", "::1", "text"),
    "nothing": ("INT", "NULL", None, "integer"),
}


def test_each_type_is_read_exactly(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        f"CREATE TABLE wide ({', '.join(f'`{name}` {type_}' for name, (type_, *_) in TYPES.items())})",
        "SET time_zone = '+00:00'",
        f"INSERT INTO wide VALUES ({', '.join(value for _, value, *_ in TYPES.values())})",
    )
    frozen = freeze(shop.extractor(table="wide"), tmp_path)
    texts = {name: value if text is None and value != "NULL" else text for name, (_, value, text, _) in TYPES.items()}
    assert frozen.records == [texts]
    assert frozen.types == {name: type_ for name, (*_, type_) in TYPES.items()}


def test_a_query_has_the_same_values_and_types(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        f"CREATE TABLE wide ({', '.join(f'`{name}` {type_}' for name, (type_, *_) in TYPES.items())})",
        "SET time_zone = '+00:00'",
        f"INSERT INTO wide VALUES ({', '.join(value for _, value, *_ in TYPES.values())})",
    )
    of_query = freeze(shop.extractor(query="SELECT * FROM wide;"), tmp_path)
    of_table = freeze(shop.extractor(table="wide"), tmp_path)
    assert of_query.records == of_table.records
    assert of_query.types == of_table.types


def test_values_that_no_other_database_has_are_kept_as_text(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE odd (id INT PRIMARY KEY, d DATE, dt DATETIME, t TIME, ts TIMESTAMP NULL)",
        "INSERT INTO odd VALUES (1, '2024-01-01', '2024-01-01', '10:00:00', '2024-01-01 00:00:01')",
        "INSERT INTO odd VALUES (2, '0000-00-00', '2020-00-15', '-838:59:59', NULL), (3, NULL, NULL, '25:00:00', NULL)",
    )
    frozen = freeze(shop.extractor(table="odd"), tmp_path)
    assert frozen.column("d") == ["2024-01-01", "0000-00-00", None]
    assert frozen.column("dt") == ["2024-01-01 00:00:00", "2020-00-15 00:00:00", None]
    assert frozen.column("t") == ["10:00:00", "-838:59:59", "25:00:00"]
    assert frozen.column("ts")[0].endswith("+00:00")
    assert any("read as text" in note for note in frozen.manifest.notes)


def test_a_second_fetch_has_the_same_bytes(shop: Shop, tmp_path: Path) -> None:
    shop.run("CREATE TABLE t (id INT PRIMARY KEY, x TEXT)", "INSERT INTO t SELECT seq, MD5(seq) FROM seq_1_to_5000")
    assert len({freeze(shop.extractor(table="t"), tmp_path).manifest.sha256 for _ in range(2)}) == 1


def test_a_row_inserted_during_a_fetch_is_not_seen(shop: Shop) -> None:
    shop.run("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    from etl_assets.extract.database.address import address_of
    from etl_assets.extract.database.connecting import connect

    extractor = shop.extractor(table="t")
    with connect(address_of(shop.url, "x"), extractor.access) as session:
        shop.run("INSERT INTO t VALUES (2)")
        assert int(session.row("SELECT count(*) FROM t")[0]) == 1


def test_incremental_fetches_bring_what_changed_and_rows_without_a_value(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME NULL)",
        "INSERT INTO t VALUES (1, '2024-01-01 10:00'), (2, '2024-01-01 12:00'), (3, NULL)",
    )
    extractor = shop.extractor(table="t", incremental=Incremental("at", timedelta(minutes=30)))
    first = freeze(extractor, tmp_path)
    assert first.column("id") == ["1", "2", "3"]
    assert extractor.poll_since(Partition(), first.state) == first.manifest.validators
    shop.run("INSERT INTO t VALUES (4, '2024-01-01 11:45'), (5, '2024-01-01 13:00')")
    assert extractor.poll_since(Partition(), first.state) != first.manifest.validators
    assert freeze(extractor, tmp_path, first.state).column("id") == ["2", "3", "4", "5"]


def test_partitions_hold_the_rows_of_their_window(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6))",
        "INSERT INTO t VALUES (1, '2024-01-01 23:59:59.999999'), (2, '2024-01-02'), (3, '2024-01-03'), (4, NULL)",
    )
    day = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
    frozen = freeze(shop.extractor(table="t", partition_column="at"), tmp_path, partition=day)
    assert frozen.column("id") == ["2"]
    assert any("1 rows have no value in 'at'" in note for note in frozen.manifest.notes)
    by_query = shop.extractor(query="SELECT id FROM t WHERE at >= :start AND at < :end")
    assert freeze(by_query, tmp_path, partition=day).column("id") == ["2"]
    by_key = shop.extractor(query="SELECT :key AS k, ':key' AS not_k, '\\\\' AS slash")
    assert freeze(by_key, tmp_path, partition=Partition("it's \\")).records[0]["k"] == "it's \\"


def test_names_with_quotes_and_percents_are_read(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        'CREATE TABLE `or``der 100%` (`select` INT, `a"b` INT, `% s` INT)',
        "INSERT INTO `or``der 100%` VALUES (1, 2, 3)",
    )
    frozen = freeze(shop.extractor(table="or`der 100%"), tmp_path)
    assert frozen.records == [{"select": "1", 'a"b': "2", "% s": "3"}]


def test_a_table_without_rows_is_a_delivery_without_records(shop: Shop, tmp_path: Path) -> None:
    shop.run("CREATE TABLE t (id INT PRIMARY KEY)")
    frozen = freeze(shop.extractor(table="t"), tmp_path)
    assert (frozen.manifest.records, frozen.manifest.names) == (0, ("id",))


def test_a_missing_table_is_missing(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(DeliveryMissingError, match="no table gone"):
        freeze(shop.extractor(table="gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match="gone"):
        freeze(shop.extractor(query="SELECT * FROM gone"), tmp_path)


def test_a_wrong_password_is_refused_without_showing_it(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "wrong-password")
    with pytest.raises(DeliveryError, match="refuses this login") as raised:
        freeze(shop.extractor(table="t"), tmp_path)
    assert "wrong-password" not in repr(raised.value)


def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "x")
    extractor = DatabaseExtractor(
        "mysql://127.0.0.1:1/shop", table="t", access=Database("reader", Secret("SHOP_PASSWORD"))
    )
    with pytest.raises(DeliveryUnreachableError):
        freeze(extractor, tmp_path)


def test_a_connection_that_ends_in_the_middle_is_no_delivery(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (id INT PRIMARY KEY, x TEXT)",
        "INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_200000",
    )
    extractor = shop.extractor(query="SELECT id, x FROM t")
    from etl_assets.extract.database import freezing

    add, killed = freezing.ParquetFile.add, list[int]()

    def kill(self: freezing.ParquetFile, batch: object) -> None:
        if not killed:
            for (number,) in shop.server.run(
                None, "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'reader'"
            ):
                shop.server.run(None, f"KILL {number}")
                killed.append(number)
        add(self, batch)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freezing.ParquetFile, "add", kill)
        with pytest.raises(DeliveryUnreachableError):
            freeze(extractor, tmp_path)
    assert killed


def test_a_slow_query_ends_at_the_deadline(shop: Shop, tmp_path: Path) -> None:
    access = Database("reader", Secret("SHOP_PASSWORD"), deadline=1.0)
    extractor = shop.extractor(query="SELECT SLEEP(30) AS x", access=access)
    with pytest.raises(DeliveryUnreachableError, match="took longer"):
        freeze(extractor, tmp_path)


def test_a_view_that_fails_midway_is_no_delivery(shop: Shop, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t SELECT seq FROM seq_1_to_20000",
        "CREATE VIEW v AS SELECT id, IF(id = 19000, (SELECT b.id FROM t b WHERE b.id < a.id), 1) AS x FROM t a",
    )
    with pytest.raises(DeliveryError):
        freeze(shop.extractor(table="v"), tmp_path)


def test_a_changed_catalogue_is_noted(shop: Shop, tmp_path: Path) -> None:
    shop.run("CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,2) UNSIGNED, b INT NOT NULL, c INT)")
    first = freeze(shop.extractor(table="t"), tmp_path)
    shop.run("ALTER TABLE t MODIFY a DECIMAL(12,2) UNSIGNED, MODIFY b INT NULL, DROP c, ADD d TEXT")
    notes = freeze(shop.extractor(table="t"), tmp_path, first.state).manifest.notes
    assert sorted(notes) == [
        "The column 'b' in t may now be null.",
        "The type of 'a' in t was 'decimal(10,2) unsigned' and is 'decimal(12,2) unsigned'.",
        "t has a new column, 'd' (text).",
        "t no longer has the column 'c'.",
    ]
