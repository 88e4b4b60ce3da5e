"""The story of a key: its row, where it came from, and everything else that is known of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from etl_assets import (
    Append,
    Column,
    Csv,
    Daily,
    DatabaseExtractor,
    FileExtractor,
    History,
    PartitionBy,
    Replace,
    Schema,
    Snapshot,
    Transformer,
    ingest,
)
from etl_assets.explain import Limits
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, retention
from etl_assets_tests.explain.asked import ask
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets_tests.ingest.world import World


def test_a_row_names_its_delivery_its_record_and_the_line_as_published(world: World) -> None:
    world.take("a,1,x", 'b,2,"two, words"')
    story = ask(world, code="b")
    (version,) = story.versions
    assert version.row.columns == {"code": "b", "amount": "2", "note": "two, words"}
    assert version.origin is not None
    assert (version.origin.id, version.origin.name, version.row.record_no) == (1, "goods.csv", 2)
    assert version.published.raw == b'b,2,"two, words"'
    assert version.published.location == ":3"
    assert version.published.fields == {"code": "b", "amount": "2", "note": "two, words"}
    assert version.published.batch == 1
    assert [(entry.kind, entry.run_id, entry.current) for entry in version.entries] == [("ingest", "run", True)]
    assert version.declared_as_now
    assert story.summary == "It has a row; its contents are from record 2 of delivery 1."


def test_a_column_whose_name_begins_with_an_underscore_is_shown(world: World) -> None:
    years = world.other(schema=Schema((*GOODS.columns, Column("_1960", "integer")), ("code",)))
    years.take("a,1,x,7", header="code,amount,note,_1960")
    (version,) = ask(years, code="a").versions
    assert version.row.columns == {"code": "a", "amount": "1", "note": "x", "_1960": "7"}


def test_the_bytes_of_a_batch_hold_its_record(world: World) -> None:
    world.take(*(f"{'abcdefgh'[number % 8] * (number // 8 + 1)},{number},{'x' * 200}" for number in range(64)))
    (version,) = ask(world, code="aaaaaa").versions
    data = (world.folder / "goods" / "goods.csv").read_bytes()
    published = version.published
    assert published.batch > 1
    assert published.raw in data[published.offset : published.offset + published.length]
    assert published.raw.startswith(b"aaaaaa,40,")


def test_deliveries_with_the_same_key_are_found_in_their_frozen_bytes(world: World) -> None:
    world.take("a,1,")
    world.take("b,1,")
    world.take("a,2,", "b,1,")
    story = ask(world, code="a")
    assert [(found.delivery_id, found.record_no, found.raw) for found in story.search.found] == [
        (3, 1, b"a,2,"),
        (1, 1, b"a,1,"),
    ]
    assert (story.search.of, story.search.searched, story.search.is_whole) == (3, 3, True)


def test_no_more_deliveries_are_searched_than_the_limits_allow(world: World) -> None:
    for number in range(3):
        world.take("a,1,", f"b,{number},")
    few = ask(world, code="a", limits=Limits(deliveries=2)).search
    assert ([found.delivery_id for found in few.found], few.searched, few.of) == ([3, 2], 2, 3)
    assert not few.is_whole
    small = ask(world, code="a", limits=Limits(size=1)).search
    assert (small.searched, small.of) == (1, 3)


def test_a_delivery_without_its_bytes_is_reported_and_the_others_are_searched(world: World) -> None:
    world.take("a,1,")
    world.take("a,2,")
    (sha256,) = world.query("SELECT sha256 FROM etl.delivery WHERE id = 1")[0]
    next((world.folder / "landing").rglob(f"{sha256}.bytes")).unlink()
    story = ask(world, code="a")
    assert [found.delivery_id for found in story.search.found] == [2]
    (sentence,) = story.search.unreadable
    assert sentence.startswith("Delivery 1 cannot be searched. The landing store")
    assert not story.search.is_whole


def test_a_row_whose_bytes_are_gone_is_shown_with_the_reason(world: World) -> None:
    world.take("a,1,")
    next((world.folder / "landing").rglob("*.bytes")).unlink()
    (version,) = ask(world, code="a").versions
    assert version.published.problem.startswith("Its bytes cannot be read again. The landing store")
    assert version.row.columns["amount"] == "1"


def test_a_key_that_was_never_delivered_is_known_if_everything_was_searched(world: World) -> None:
    assert "core.goods is not there as declared, and nothing was delivered" in ask(world, code="z").summary
    world.take("a,1,")
    assert ask(world, code="z").summary == (
        "It has no row. The key was never delivered: it is not in the only delivery."
    )
    world.take("a,2,")
    assert ask(world, code="z", limits=Limits(deliveries=1)).summary == (
        "It has no row. Of 2 deliveries only the newest was searched: it does not have the key."
    )
    world.take("a,3,")
    assert ask(world, code="z", limits=Limits(deliveries=2)).summary == (
        "It has no row. Of 3 deliveries only the newest 2 were searched: none has the key."
    )


def test_a_rejected_key_names_its_record_and_rules(world: World) -> None:
    world.take("a,x,", "b,1,")
    story = ask(world, code="a")
    assert story.summary == "It has no row: record 1 of delivery 1 broke amount__type, and waits for a person."
    assert [(record.raw, record.status) for record in story.rejected] == [(b"a,x,", "open")]


def test_a_dismissed_key_is_explained(world: World) -> None:
    world.take("a,x,", "b,1,")
    with connected(world.url) as connection:
        decisions.dismiss(connection, [1], "ada", "known")
    story = ask(world, code="a")
    assert story.summary == "It has no row: record 1 of delivery 1 broke amount__type, and is dismissed."
    assert [(record.reviewer, record.note) for record in story.rejected] == [("ada", "known")]


def test_a_corrected_row_shows_what_was_published_and_who_corrected_it(world: World) -> None:
    world.take("a,x,", "b,1,")
    world.correct(world.waiting()[0], amount="7")
    world.replay()
    story = ask(world, code="a")
    (version,) = story.versions
    assert (version.row.columns["amount"], version.published.raw) == ("7", b"a,x,")
    assert story.summary.endswith("are from record 1 of delivery 1, as a person corrected it.")
    assert [(r.correction, r.reviewer, r.correction_counts) for r in story.rejected] == [({"amount": "7"}, "ada", True)]
    assert [entry.kind for entry in version.entries] == ["ingest", "replay"]


def test_a_replay_of_other_records_is_none_of_a_row(world: World) -> None:
    world.take("a,x,", "b,1,", "c,x,")
    for record in world.waiting():
        world.correct(record, amount="7")
    world.replay()
    assert [entry.kind for entry in ask(world, code="b").versions[0].entries] == ["ingest"]


def test_a_row_of_a_database_is_explained_by_the_values_that_were_frozen(world: World) -> None:
    path = world.folder / "shop.db"
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE goods (code TEXT, amount INTEGER, note TEXT)")
        shop.execute("INSERT INTO goods VALUES ('a', 1, NULL), ('b', 2, 'x')")
    source = replace(world.source, extractor=DatabaseExtractor(f"sqlite:///{path}", table="goods"))
    landed = ingest.land(source, source.partition(None), world.warehouse)
    ingest.load(source, landed.delivery, world.warehouse, "run")
    story = ask(world, of=source, code="b")
    (version,) = story.versions
    assert version.published.fields == {"code": "b", "amount": "2", "note": "x"}
    assert [(found.record_no, found.key) for found in story.search.found] == [(2, ("b",))]


def test_what_was_rejected_of_a_key_that_has_a_row_is_listed(world: World) -> None:
    world.take("a,1,")
    world.take("a,x,")
    story = ask(world, code="a")
    assert len(story.versions) == 1
    assert [(record.delivery_id, record.rules) for record in story.rejected] == [(2, ["amount__type"])]


def test_a_key_that_is_written_otherwise_is_the_same(world: World) -> None:
    schema = Schema(
        (Column("day", "date", required=True, formats=("%d.%m.%Y",)), Column("n", "integer", minimum=1)), ("day",)
    )
    other = world.other(schema=schema)
    other.take("01.02.2024,1", header="day,n")
    other.take("02.02.2024,0", header="day,n")
    for text in ("01.02.2024", "2024-02-01"):
        assert len(ask(other, day=text).versions) == 1
    assert [record.rules for record in ask(other, day="2024-02-02").rejected] == [["n__minimum"]]


def test_a_deleted_row_names_the_delivery_that_no_longer_had_it(world: World) -> None:
    whole = world.other(more={"write": Snapshot(max_deleted=1.0)})
    whole.take("a,1,", "b,1,")
    whole.take("b,1,")
    story = ask(whole, code="a")
    assert story.summary == "Its row was deleted: delivery 2 no longer has the key."
    assert [(gone.deleted_by, gone.delivery_id, gone.record_no) for gone in story.deletions] == [(2, 1, 1)]
    assert [found.delivery_id for found in story.search.found] == [1]


def test_a_row_that_is_marked_as_deleted_says_so(world: World) -> None:
    whole = world.other(more={"write": Snapshot(max_deleted=1.0, mark=True)})
    whole.take("a,1,", "b,1,")
    whole.take("b,1,")
    story = ask(whole, code="a")
    assert "It has a row that is marked as deleted since 20" in story.summary
    assert "deleted_at" in story.versions[0].row.kept


def test_every_version_of_a_history_is_explained(world: World) -> None:
    dated = world.other(more={"write": History()})
    dated.take("a,1,")
    dated.take("a,2,")
    story = ask(dated, code="a")
    first, last = story.versions
    assert (first.row.columns["amount"], first.published.raw) == ("1", b"a,1,")
    assert (last.row.columns["amount"], last.published.raw) == ("2", b"a,2,")
    assert first.row.kept["ended_by"] == "2"
    assert "It has 2 versions, the last one current" in story.summary


def test_a_history_without_a_current_version_says_so(world: World) -> None:
    dated = world.other(more={"write": History(snapshot=Snapshot(max_deleted=1.0))})
    dated.take("a,1,", "b,1,")
    dated.take("b,1,")
    assert "It has 1 version, none of them current" in ask(dated, code="a").summary


def test_versions_that_records_order_are_found_by_the_key_alone(world: World) -> None:
    columns = (*GOODS.columns, Column("since", "date", required=True))
    ordered = world.other(schema=Schema(columns, ("code",), order_by="since"), more={"write": History()})
    ordered.take("a,1,,2024-01-01", "a,2,,2024-02-01", header="code,amount,note,since")
    story = ask(ordered, code="a")
    assert [version.row.record_no for version in story.versions] == [1, 2]


def test_rows_without_a_key_are_found_by_any_columns(world: World) -> None:
    for write in (Append(), Replace()):
        name = type(write).__name__.lower()
        events = world.other(name=name, schema=replace(GOODS, key=()), more={"write": write})
        events.take("a,1,", "a,1,", "b,1,")
        story = ask(events, code="a", amount="1")
        assert [version.row.record_no for version in story.versions] == [1, 2]
        assert [found.record_no for found in story.search.found] == [1, 2]
        assert story.summary.startswith("It has 2 rows; the contents of the last one are from record 2 of delivery ")


def test_of_many_rows_the_newest_are_shown_and_the_search_ends(world: World) -> None:
    events = world.other(schema=replace(GOODS, key=()), more={"write": Append()})
    events.take(*("a,1," for _ in range(120)))
    story = ask(events, code="a")
    assert [version.row.record_no for version in story.versions] == list(range(101, 121))
    assert story.summary.startswith("It has 20 rows or more;")
    assert (len(story.search.found), story.search.is_cut, story.search.is_whole) == (100, True, False)


def test_of_appended_rows_with_a_key_the_first_one_stays(world: World) -> None:
    first = world.other(more={"write": Append()})
    first.take("a,1,")
    first.take("a,2,")
    story = ask(first, code="a")
    assert story.versions[0].origin is not None
    assert story.versions[0].origin.id == 1
    assert [found.delivery_id for found in story.search.found] == [2, 1]


def test_only_deliveries_of_the_partition_of_the_key_are_searched(world: World) -> None:
    schema = Schema((Column("day", "date", required=True), Column("amount", "integer")), ("day",))
    extractor = FileExtractor(location=str(world.folder / "goods" / "{key}.csv"), format=Csv(), settle_seconds=0.0)
    daily = replace(world.source, schema=schema, extractor=extractor, partitions=Daily(date(2024, 1, 1), column="day"))
    for key in ("2024-01-01", "2024-01-02"):
        world.publish(f"{key},1", file=f"{key}.csv", header="day,amount")
        landed = ingest.land(daily, daily.partition(key), world.warehouse)
        ingest.load(daily, landed.delivery, world.warehouse, "run")
    search = ask(world, of=daily, day="2024-01-02").search
    assert (search.of, search.searched, [found.delivery_id for found in search.found]) == (1, 1, [2])


def test_a_row_that_is_too_old_to_be_kept_is_explained(world: World) -> None:
    schema = Schema((Column("day", "date", required=True), Column("amount", "integer")), ("day",))
    by = PartitionBy("day", keep="1 year")
    old = world.other(schema=schema, more={"partition_by": by})
    old.take("2001-01-01,1", f"{date.today()},1", header="day,amount")  # noqa: DTZ011 -- any day of this year
    with connected(old.url) as connection:
        retention.drop_expired(connection, "goods", "core.goods", by)
    story = ask(old, day="2001-01-01")
    assert story.versions == []
    assert story.summary == f"It has no row: the table keeps those from {story.kept_from} on."


def test_a_declaration_that_changed_since_is_noticed(world: World) -> None:
    world.take("a,1,")
    changed = world.other(schema=replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", length=9))))
    (version,) = ask(changed, code="a").versions
    assert not version.declared_as_now
    assert version.origin is not None
    assert version.origin.fingerprint == world.source.fingerprint


def test_rows_of_other_tables_that_refer_to_a_row_are_counted(world: World) -> None:
    world.take("a,1,", "b,1,")
    schema = Schema(
        (Column("id", "integer", required=True), Column("code", "text", references="core.goods.code")), ("id",)
    )
    orders = world.other(name="orders", schema=schema)
    orders.publish("1,a", "2,a", "3,b", file="goods.csv", header="id,code")
    orders.load(orders.land().delivery)
    story = ask(world, orders.source, code="a")
    assert [(each.table, each.columns, each.rows) for each in story.referring] == [("core.orders", ("code",), 2)]
    assert story.downstream == ["orders"]


class Twice(Transformer):
    """Gives each code a letter more."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(code=frame["code"] + "x")


def test_keys_that_a_transformer_makes_are_searched_as_it_makes_them(world: World) -> None:
    made = world.other(more={"transformer": Twice()})
    made.take("a,1,", "b,2,")
    story = ask(made, code="bx")
    assert [version.published.raw for version in story.versions] == [b"b,2,"]
    assert [(found.record_no, found.raw) for found in story.search.found] == [(2, b"b,2,")]


def grant_table(world: World) -> None:
    with connected(world.url) as connection:
        connection.execute("GRANT USAGE ON SCHEMA core TO reads_stories; GRANT SELECT ON core.goods TO reads_stories")


def test_what_the_readers_role_may_not_read_is_left_out_with_a_sentence(world: World, reader: str) -> None:
    world.take("a,x,", "b,1,")
    grant_table(world)
    story = ask(world, url=reader, code="b")
    assert len(story.versions) == 1
    assert [sentence.partition(":")[0] for sentence in story.left_out] == [
        "Rejected records, corrections and who made them (etl.rejected)",
        "Deletions (etl.deletion)",
    ]


def test_a_role_that_may_not_read_the_table_is_not_answered_that_there_is_no_row(world: World, reader: str) -> None:
    world.take("a,x,", "b,1,")
    story = ask(world, url=reader, code="b")
    assert story.summary == "This role may not read core.goods, so that it is not known whether the key has a row."
    assert [found.raw for found in story.search.found] == [b"b,1,"]
