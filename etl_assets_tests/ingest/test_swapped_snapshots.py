"""A snapshot of which most rows differ takes the place of the table, with everything that is attached to it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from etl_assets import ingest
from etl_assets.errors import DeclarationError, TooManyDeletedError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import History, Snapshot
from etl_assets.postgres.tables import new_table
from etl_assets_tests.ingest.world import ending_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

LONG = "x" * 40
"""A note that makes each record a batch of its own, if batches have 64 bytes."""


@pytest.fixture(name="shop")
def _shop(world: World) -> Iterator[World]:
    """A shop that has four goods, and whose next deliveries may take the place of the table."""
    here = world.other(format=Csv(batch_bytes=64), more={"write": Snapshot(max_deleted=0.5, swap_from=2)})
    here.take(*lines(1))
    yield here
    assert here.query("SELECT to_regclass('etl_swap.goods')") == [(None,)]
    assert here.violations() == []


def lines(amount: int, codes: str = "abcd") -> list[str]:
    return [f"{code},{amount},{LONG}" for code in codes]


def oid(world: World) -> Any:
    return world.query("SELECT 'core.goods'::regclass::oid")


def amounts(world: World) -> dict[str, int]:
    return {row[0]: row[1] for row in world.rows()}


def execute(world: World, *statements: str) -> None:
    with psycopg.connect(world.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_delivery_that_changes_most_rows_makes_a_new_table_and_counts_as_ever(shop: World) -> None:
    before = oid(shop)
    report = shop.take(*lines(2, "abe"), f"d,1,{LONG}")
    assert oid(shop) != before
    assert amounts(shop) == {"a": 2, "b": 2, "d": 1, "e": 2}
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 2, 1, 1)
    assert shop.query("SELECT key ->> 'code', deleted_by FROM etl.deletion") == [("c", report.delivery.id)]


def test_a_row_that_is_unchanged_keeps_its_mark(shop: World) -> None:
    report = shop.take(*lines(2, "abc"), f"d,1,{LONG}")
    first = report.delivery.id - 1
    marks = shop.query("SELECT _delivery_id, _record_no FROM core.goods WHERE code = 'd'")
    assert marks == [(first, 4)]


def test_the_row_of_a_rejected_record_stays(shop: World) -> None:
    before = oid(shop)
    shop.take(*lines(2, "abc"), f"d,-1,{LONG}")
    assert oid(shop) != before
    assert amounts(shop) == {"a": 2, "b": 2, "c": 2, "d": 1}


def test_a_rejected_record_whose_key_cannot_be_read_deletes_nothing(shop: World) -> None:
    before = oid(shop)
    report = shop.take(*lines(2, "ab"), "broken")
    assert oid(shop) != before
    assert (amounts(shop), report.counts.deleted) == ({"a": 2, "b": 2, "c": 1, "d": 1}, 0)


@pytest.mark.parametrize(
    "records",
    [
        [*lines(1, "abc"), *lines(2, "d")],  # most are unchanged
        lines(2, "a"),  # it is short
    ],
)
def test_a_delivery_for_which_a_new_table_is_not_worth_it_keeps_the_table(shop: World, records: list[str]) -> None:
    before = oid(shop)
    ingest.load(
        replace(shop.source, write=Snapshot(max_deleted=1.0, swap_from=2)), _land(shop, records), shop.warehouse, "r"
    )
    assert oid(shop) == before


def _land(shop: World, records: list[str]) -> Any:
    shop.publish(*records)
    return shop.land().delivery


@pytest.mark.parametrize(
    "statement",
    [
        (
            "CREATE TRIGGER seen BEFORE UPDATE ON core.goods FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "CREATE MATERIALIZED VIEW public.kept AS SELECT code FROM core.goods",
        "ALTER TABLE core.goods ADD COLUMN by_hand text",
        "ALTER TABLE core.goods SET (autovacuum_enabled = false)",
    ],
)
def test_what_a_new_table_would_lack_keeps_the_table(shop: World, statement: str) -> None:
    execute(shop, statement)
    before = oid(shop)
    shop.take(*lines(2))
    assert oid(shop) == before
    assert set(amounts(shop).values()) == {2}


def test_a_publication_keeps_every_table(shop: World) -> None:
    execute(shop, "CREATE PUBLICATION changes FOR TABLE core.goods")
    try:
        before = oid(shop)
        shop.take(*lines(2))
        assert oid(shop) == before
    finally:
        execute(shop, "DROP PUBLICATION changes")


def test_grants_comments_views_foreign_keys_indexes_and_the_key_are_those_of_before(shop: World) -> None:
    execute(
        shop,
        "GRANT SELECT ON core.goods TO PUBLIC",
        "COMMENT ON TABLE core.goods IS 'What is in stock.'",
        "CREATE VIEW public.dear AS SELECT code, amount FROM core.goods",
        "GRANT SELECT ON public.dear TO PUBLIC",
        "CREATE TABLE public.sales (good text CONSTRAINT of_goods REFERENCES core.goods)",
        "INSERT INTO public.sales VALUES ('a')",
        "CREATE INDEX goods_by_note ON core.goods (lower(note))",
        "ALTER TABLE core.goods ADD CONSTRAINT few CHECK (amount < 1000)",
    )
    question = (
        "SELECT relname, relacl::text, obj_description(oid), relowner, CASE WHEN relkind = 'v' THEN "
        "pg_get_viewdef(oid) END FROM pg_class c WHERE relname IN ('goods', 'dear') UNION ALL "
        "SELECT conname, pg_get_constraintdef(oid), NULL, 0, NULL FROM pg_constraint WHERE conrelid IN "
        "('core.goods'::regclass, 'public.sales'::regclass) UNION ALL "
        "SELECT indexname, indexdef, NULL, 0, NULL FROM pg_indexes WHERE tablename = 'goods' ORDER BY 1, 2"
    )
    found, before = shop.query(question), oid(shop)
    shop.take(*lines(2))
    assert oid(shop) != before
    assert shop.query(question) == found
    assert shop.query("SELECT sum(amount) FROM public.dear") == [(8,)]


def test_a_constraint_that_rows_do_not_keep_lets_the_records_be_rejected_as_ever(shop: World) -> None:
    execute(shop, "ALTER TABLE core.goods ADD CONSTRAINT few CHECK (amount < 1000)")
    shop.take(*lines(2, "abc"), f"d,2000,{LONG}")
    assert amounts(shop) == {"a": 2, "b": 2, "c": 2, "d": 1}
    assert [record.rules for record in shop.waiting()] == [["record__database"]]


def test_a_last_batch_that_repeats_a_key_of_those_before_is_merged(shop: World) -> None:
    report = shop.take(*lines(1, "abc"), f"d,2,{LONG}", f"d,3,{LONG}")
    assert amounts(shop) == {"a": 1, "b": 1, "c": 1, "d": 3}
    assert report.rules == {"key__unique": 1}


def test_keys_that_batches_repeat_are_reported_as_ever(shop: World) -> None:
    report = shop.take(*lines(2), f"a,3,{LONG}")
    assert amounts(shop) == {"a": 3, "b": 2, "c": 2, "d": 2}
    assert report.rules == {"key__unique": 1}


def test_a_session_that_keeps_the_table_makes_the_rows_be_merged_into_it(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_table, "_SECONDS", 0.5)
    before = oid(shop)
    with psycopg.connect(shop.url) as reader:
        reader.execute("SELECT * FROM core.goods")
        report = shop.take(*lines(2, "abe"), f"d,1,{LONG}")
        assert reader.execute("SELECT count(*) FROM core.goods").fetchone() == (4,)
    assert oid(shop) == before
    assert amounts(shop) == {"a": 2, "b": 2, "d": 1, "e": 2}
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 2, 1, 1)


def test_a_transaction_that_began_before_never_sees_an_empty_table(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_table, "_SECONDS", 0.5)
    with psycopg.connect(shop.url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")
        shop.take(*lines(2, "abce"))
        assert reader.execute("SELECT code, amount FROM core.goods ORDER BY 1").fetchall() == [
            (code, 1) for code in "abcd"
        ]
    assert amounts(shop) == {"a": 2, "b": 2, "c": 2, "e": 2}


def test_readers_see_either_table_and_no_error(shop: World) -> None:
    seen, problems = set[tuple[Any, ...]](), list[str]()
    done = threading.Event()

    def read(*, prepared: bool) -> None:
        question = "SELECT count(*), count(DISTINCT amount) FROM core.goods"
        try:
            with psycopg.connect(shop.url, autocommit=True) as connection:
                while not done.is_set():
                    seen.update(connection.execute(question, prepare=prepared).fetchall())
        except psycopg.Error as error:
            problems.append(str(error))

    readers = [threading.Thread(target=read, kwargs={"prepared": prepared}) for prepared in (False, True)]
    for reader in readers:
        reader.start()
    try:
        tables = [oid(shop)]
        for amount in (2, 3, 4):
            shop.take(*lines(amount))
            tables.append(oid(shop))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert problems == []
    assert seen == {(4, 1)}
    assert len({str(table) for table in tables}) > 1


def test_too_many_deletions_are_refused_and_batches_before_the_last_stay_as_ever(shop: World) -> None:
    shop.publish(*lines(2, "ae"))
    delivery = shop.land().delivery
    with pytest.raises(TooManyDeletedError, match="does not have the keys of 3 of 5 rows"):
        shop.load(delivery)
    assert amounts(shop) == {"a": 2, "b": 1, "c": 1, "d": 1}
    ingest.load(shop.source, delivery, shop.warehouse, "run", accept_deletes=True)
    assert amounts(shop) == {"a": 2, "e": 2}


def test_a_load_that_was_interrupted_changes_nothing_and_is_read_again(shop: World) -> None:
    shop.publish(*lines(2))
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, ending_after(2))
    assert amounts(shop) == dict.fromkeys("abcd", 1)
    report = shop.load(delivery)
    assert amounts(shop) == dict.fromkeys("abcd", 2)
    assert (report.delivery.generation, report.counts.updated) == (2, 4)


def test_a_process_that_dies_before_the_new_table_is_in_place_leaves_the_old_one(shop: World) -> None:
    class Dying(BatchTransaction):
        def complete_apart(self) -> None:
            raise KeyboardInterrupt

    shop.publish(*lines(2, "abe"), f"d,1,{LONG}")
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, Dying)
    assert amounts(shop) == dict.fromkeys("abcd", 1)
    counts = shop.load(delivery).counts
    assert amounts(shop) == {"a": 2, "b": 2, "d": 1, "e": 2}
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 2, 1, 1)


def test_a_process_that_dies_when_the_new_table_is_in_place_has_done_everything(shop: World) -> None:
    class Dying(BatchTransaction):
        def complete_apart(self) -> None:
            super().complete_apart()
            raise KeyboardInterrupt

    shop.publish(*lines(2))
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, Dying)
    assert amounts(shop) == dict.fromkeys("abcd", 2)
    report = shop.load(delivery)
    assert (report.delivery.generation, report.counts.updated) == (1, 4)


def test_a_connection_that_is_lost_makes_the_delivery_be_read_again(shop: World) -> None:
    class Losing(BatchTransaction):
        left = 2

        def write_entry(self, entry: Entry) -> None:
            type(self).left -= 1
            if type(self).left == 0:
                self.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            super().write_entry(entry)

    shop.publish(*lines(2, "abe"), f"d,1,{LONG}")
    report = shop.load(shop.land().delivery, Losing)
    assert amounts(shop) == {"a": 2, "b": 2, "d": 1, "e": 2}
    assert report.delivery.generation == 2


def test_a_replay_while_a_load_is_interrupted_is_kept(shop: World) -> None:
    shop.publish(f"a,-2,{LONG}", *lines(2, "bcd"))
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, ending_after(3))
    (record,) = shop.waiting()
    shop.correct(record, code="a", amount="9", note=LONG)
    shop.replay(record.id)
    assert amounts(shop) == {"a": 9, "b": 1, "c": 1, "d": 1}
    shop.load(delivery)
    assert amounts(shop) == {"a": 9, "b": 2, "c": 2, "d": 2}


def test_another_file_that_is_loaded_meanwhile_makes_the_delivery_be_read_again(world: World) -> None:
    here = world.other(files=True, format=Csv(batch_bytes=64), more={"write": Snapshot(max_deleted=1.0, swap_from=2)})
    here.take(*lines(1), file="1.csv")

    class Late(BatchTransaction):
        def complete_apart(self) -> None:
            if self.delivery.generation == 1 and self.delivery.partition == "2.csv":
                here.take(*lines(3, "abc"), file="3.csv")
            super().complete_apart()

    here.publish(*lines(2), file="2.csv")
    before = oid(here)
    report = here.load(here.land("2.csv").delivery, Late)
    assert amounts(here) == {"a": 3, "b": 3, "c": 3}
    assert (report.delivery.generation, oid(here)) == (2, before)
    assert here.query("SELECT to_regclass('etl_swap.goods')") == [(None,)]
    assert here.violations() == []


def test_the_number_of_records_is_checked_and_changes_no_fingerprint(shop: World) -> None:
    more = {"write": Snapshot(max_deleted=0.5, swap_from=None)}
    assert shop.source.fingerprint == shop.other(more=more).source.fingerprint
    assert repr(History(snapshot=Snapshot(swap_from=7))) == repr(History(snapshot=Snapshot()))
    with pytest.raises(DeclarationError, match="swap_from 0 is not a number of records"):
        _ = shop.other(more={"write": Snapshot(swap_from=0)}).source


@pytest.mark.parametrize("refused", ["abc", "d"])
@pytest.mark.parametrize(
    "constraint",
    [
        "ALTER COLUMN note SET NOT NULL",
        "ADD CHECK (note IS NOT NULL)",
        "ADD CHECK (note IS NOT NULL) NOT VALID",
        "ADD CHECK (1000 / length(coalesce(note, '')) > 0)",
    ],
)
def test_a_record_that_the_database_refuses_is_rejected_alone_and_its_row_stays(
    shop: World, constraint: str, refused: str
) -> None:
    execute(shop, f"ALTER TABLE core.goods {constraint}")
    kept = [code for code in "abcd" if code not in refused]
    records = [*lines(2, "".join(kept)), *(f"{code},3," for code in refused)]
    report = shop.take(*sorted(records))
    assert report.rules == {"record__database": len(refused)}
    assert amounts(shop) == dict.fromkeys(refused, 1) | dict.fromkeys(kept, 2)
    assert report.counts.deleted == 0


def test_a_table_that_inherits_from_another_is_kept(shop: World) -> None:
    before = oid(shop)
    execute(shop, "CREATE TABLE public.all_goods (LIKE core.goods)", "ALTER TABLE core.goods INHERIT public.all_goods")
    shop.take(*lines(2))
    assert oid(shop) == before
    assert amounts(shop) == dict.fromkeys("abcd", 2)
    execute(shop, "ALTER TABLE core.goods NO INHERIT public.all_goods", "DROP TABLE public.all_goods")


def test_an_index_that_is_added_while_the_load_waits_is_taken_over(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def index_meanwhile(*_: Any) -> bool:
        execute(shop, "CREATE INDEX by_note ON core.goods (note)")
        return True

    before = oid(shop)
    monkeypatch.setattr(new_table, "wait_for_older_snapshots", index_meanwhile)
    shop.take(*lines(2))
    assert oid(shop) != before
    assert shop.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_note'") == [(1,)]
