"""A source and Dagster have the same partitions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets import Csv, Daily, FileExtractor, Files, Monthly, Static, Weekly
from etl_assets.errors import DeliveryError
from etl_assets.graph.partitions import add_files, check_key, partitions_definition

if TYPE_CHECKING:
    from etl_assets import Source
    from etl_assets.model.partitions import Partitioning
    from etl_assets_tests.graph.conftest import Bench

_NOW = datetime(2024, 5, 17, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "partitions",
    [
        Daily(start=date(2024, 2, 27)),
        Daily(start=date(2024, 2, 27), end=date(2024, 3, 2)),
        Weekly(start=date(2024, 1, 7)),
        Weekly(start=date(2024, 1, 7), end=date(2024, 2, 4)),
        Monthly(start=date(2023, 11, 1)),
        Monthly(start=date(2013, 1, 1), end=date(2014, 1, 1)),
        Static(names=("b", "a")),
    ],
)
@pytest.mark.parametrize("now", [_NOW, datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 12, tzinfo=UTC)])
def test_dagster_has_the_same_keys_in_the_same_order(partitions: Partitioning, now: datetime) -> None:
    definition = partitions_definition(partitions, "x")
    assert definition is not None
    assert tuple(definition.get_partition_keys(current_time=now)) == partitions.keys(now)


def test_a_feed_without_partitions_has_no_definition() -> None:
    assert partitions_definition(None, "x") is None


def test_new_files_become_partitions_in_the_order_of_their_rank(bench: Bench) -> None:
    for name in ("12-2023.csv", "01-2024.csv", "02-2024.csv"):
        (bench.folder / name).write_text("id,name\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv()),
        partitions=Files(rank=lambda name: name[3:7] + name[:2]),
    )
    expected = ["12-2023.csv", "01-2024.csv", "02-2024.csv"]
    assert list(add_files(source, bench.instance, bench.url).keys) == expected
    assert bench.instance.get_dynamic_partitions("people") == expected
    assert list(add_files(source, bench.instance, bench.url).keys) == expected


@pytest.mark.parametrize("key", ["", "a...b", "a\nb", "a\tb", " a", "a\0", "caf\udce9", "x" * 1_001])
def test_a_key_that_dagster_would_read_as_something_else_is_refused(key: str) -> None:
    with pytest.raises(DeliveryError, match="cannot be the key of a partition"):
        check_key(key)


@pytest.mark.parametrize("key", ["2024-01.csv", "folder/ä ö.csv", "a|b,c"])
def test_an_unusual_but_valid_key_is_returned_unchanged(key: str) -> None:
    assert check_key(key) == key


def test_each_file_is_loaded_as_the_partition_of_its_name(bench: Bench) -> None:
    (bench.folder / "a.csv").write_text("id,name\n1,old\n")
    (bench.folder / "b.csv").write_text("id,name\n1,new\n")
    source = bench.declare(
        extractor=FileExtractor(location=str(bench.folder / "*.csv"), format=Csv(), settle_seconds=0),
        partitions=Files(),
    )
    add_files(source, bench.instance, bench.url)
    assert bench.run(source, "b.csv").success
    assert bench.run(source, "a.csv").success
    assert bench.query("SELECT id, name FROM core.people") == [(1, "new")]
    assert bench.instance.get_materialized_partitions(dg.AssetKey(["core", "people"])) == {"a.csv", "b.csv"}


_HOSTILE = (
    "'; drop table core.people; --.csv", "<b onclick=alert(1)>![x](http:__evil).csv", "{start}%s{{.csv", "a[1]*.csv",
    "=cmd|'x'!A1.csv", "a..,b.csv", "\x1b[31mred.csv", "\u202evsc.csv", "sub/deep/z.csv", "direct.csv", "sub/a::b.csv",
)  # fmt: skip
_IMPOSSIBLE = {
    "a\nb.csv": "contains '\\n'",
    "a\tb.csv": "contains '\\t'",
    "a...b.csv": "contains '...'",
    "caf\udce9.csv": "is not UTF-8",
    " a.csv": "begins or ends with a blank",
    "/".join(["x" * 200] * 6) + ".csv": "is longer than 1,000 bytes",
}


def _publish(bench: Bench, *names: str) -> Source:
    """Publish a file under each name, with one person of its own, and return the source of all files."""
    for number, name in enumerate(names, start=1):
        path = bench.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"id,name\n{number},Ada\n")
    location = str(bench.folder / "in" / "**" / "*.csv")
    return bench.declare(extractor=FileExtractor(location=location, format=Csv(), settle_seconds=0), partitions=Files())


def test_names_that_cannot_be_keys_are_set_aside_and_all_other_files_become_partitions(bench: Bench) -> None:
    source = _publish(bench, *_HOSTILE, *_IMPOSSIBLE)
    names = add_files(source, bench.instance, bench.url)
    assert names.set_aside == _IMPOSSIBLE
    assert set(bench.instance.get_dynamic_partitions("people")) == set(names.keys) == set(_HOSTILE)


def test_a_file_of_any_name_that_can_be_a_key_is_loaded(bench: Bench) -> None:
    longest = "/".join(["é" * 120] * 4) + f"/{'z' * 32}.csv"
    names = {"direct.csv", "\x1b[31m'; {start}%s a[1]*\u202e,<b>.csv", longest}
    source = _publish(bench, *names)
    assert len(longest.encode()) == 1_000
    assert set(add_files(source, bench.instance, bench.url).keys) == names
    assert all(bench.run(source, key).success for key in names)
    assert bench.query("SELECT count(*) FROM core.people") == [(3,)]


def test_one_alert_lists_the_names_that_are_set_aside_escaped_until_they_are_gone(bench: Bench) -> None:
    source = _publish(bench, *_IMPOSSIBLE)
    for _ in range(2):
        add_files(source, bench.instance, bench.url)
    ((rule, partition, summary, times),) = bench.query("SELECT rule, partition, summary, times FROM etl.alert")
    assert (rule, partition, times) == ("files_set_aside", "", 1)
    assert summary.isprintable()
    assert r"because of their names: 6. ' a.csv' begins or ends with a blank; 'a\tb.csv' contains '\t'" in summary
    assert r"'caf\xe9.csv' is not UTF-8" in summary
    for name in list(_IMPOSSIBLE)[1:]:
        (bench.folder / "in" / name).unlink()
    add_files(source, bench.instance, bench.url)
    assert bench.query("SELECT times, status FROM etl.alert") == [(2, "open")]
    (bench.folder / "in" / "a\nb.csv").rename(bench.folder / "in" / "ab.csv")
    assert add_files(source, bench.instance, bench.url).keys == ("ab.csv",)
    assert bench.query("SELECT status, resolution FROM etl.alert") == [("resolved", "The names are gone.")]
