"""What is attached to a table survives a swap, or keeps it from happening; readers notice nothing but the new rows."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from etl_assets import rebuild
from etl_assets.errors import BusyError, RebuildError
from etl_assets.postgres.tables import replacement
from etl_assets.rebuild import swapping
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.ingest.world import World

AS_TEXT = replace(GOODS, columns=(GOODS.columns[0], Column("amount", "text"), GOODS.columns[2]))
SHORTER = Schema(columns=(GOODS.columns[0], GOODS.columns[2]), key=("code",))


def swap(world: World) -> rebuild.Built:
    return rebuild.swap(world.source, world.warehouse, "rebuild")


@pytest.fixture
def loaded(world: World) -> World:
    world.take("a,1,x", "b,2,y")
    return world


@pytest.fixture
def roles(postgres_url: str) -> Iterator[tuple[str, str]]:
    """Two roles of the server, which are dropped after the test."""
    names = ("rebuild_reader", "rebuild_owner")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name}".encode())
    yield names
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        databases = connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
    for (database,) in databases:
        with psycopg.connect(postgres_url, dbname=database, autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP OWNED BY {name}".encode())
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP ROLE {name}".encode())


def execute(world: World, *statements: str, url: str = "") -> None:
    with psycopg.connect(url or world.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_grants_and_comments_of_the_table_survive(loaded: World, roles: tuple[str, str]) -> None:
    reader, _ = roles
    execute(
        loaded,
        f"GRANT SELECT ON core.goods TO {reader} WITH GRANT OPTION",
        "GRANT SELECT ON core.goods TO PUBLIC",
        f"GRANT UPDATE (amount) ON core.goods TO {reader}",
        "COMMENT ON TABLE core.goods IS 'What is in stock.'",
        "COMMENT ON COLUMN core.goods.note IS 'Of the clerk.'",
    )
    question = (
        "SELECT array(SELECT a::text FROM unnest(relacl) a ORDER BY 1), obj_description(oid), "
        "(SELECT array_agg(attname || attacl::text) FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL), "
        "(SELECT array_agg(col_description(attrelid, attnum)) FROM pg_attribute WHERE attrelid = c.oid), "
        "pg_get_userbyid(relowner) FROM pg_class c WHERE oid = 'core.goods'::regclass"
    )
    before = loaded.query(question)
    oid = loaded.query("SELECT 'core.goods'::regclass::oid")
    swap(loaded)
    assert loaded.query("SELECT 'core.goods'::regclass::oid") != oid
    assert [sorted(map(str, row)) for row in loaded.query(question)] == [sorted(map(str, row)) for row in before]


def test_views_of_views_survive_with_their_grants_options_and_comments(loaded: World, roles: tuple[str, str]) -> None:
    reader, _ = roles
    execute(
        loaded,
        "CREATE VIEW public.dear WITH (security_barrier) AS SELECT code AS name, amount FROM core.goods",
        "CREATE VIEW public.names AS SELECT d.name, g.note FROM public.dear d JOIN core.goods g ON g.code = d.name",
        f"GRANT SELECT ON public.names TO {reader}",
        f"GRANT SELECT (name) ON public.dear TO {reader}",
        "COMMENT ON VIEW public.dear IS 'All are.'",
        "COMMENT ON COLUMN public.dear.name IS 'Its code.'",
    )
    question = (
        "SELECT relname, reloptions, relacl::text, obj_description(oid), pg_get_viewdef(oid), "
        "(SELECT array_agg(attname || coalesce(attacl::text, '') || coalesce(col_description(attrelid, attnum), '') "
        "ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) "
        "FROM pg_class c WHERE relname IN ('dear', 'names') ORDER BY 1"
    )
    before = loaded.query(question)
    assert len(before) == 2
    swap(loaded)
    assert loaded.query(question) == before
    loaded.take("a,7,x", "b,2,y")
    assert loaded.query("SELECT d.amount, n.note FROM public.dear d JOIN public.names n USING (name) ORDER BY 1") == [
        (2, "y"),
        (7, "x"),
    ]


def test_a_view_follows_a_column_of_another_type(loaded: World) -> None:
    execute(loaded, "CREATE VIEW public.amounts AS SELECT amount FROM core.goods")
    swap(loaded.other(schema=AS_TEXT))
    assert loaded.query("SELECT * FROM public.amounts ORDER BY 1") == [("1",), ("2",)]


def test_views_that_need_a_column_that_is_gone_keep_the_table_and_are_named(loaded: World) -> None:
    execute(
        loaded,
        "CREATE VIEW public.amounts AS SELECT amount FROM core.goods",
        "CREATE VIEW public.notes AS SELECT note FROM core.goods",
        "CREATE VIEW public.sums AS SELECT sum(amount) AS total FROM public.amounts",
    )
    with pytest.raises(RebuildError, match=r"These views do not fit the new table: public.amounts .*; public.sums"):
        swap(loaded.other(schema=SHORTER))
    assert loaded.rows() == [("a", 1, "x"), ("b", 2, "y")]
    assert loaded.query("SELECT total FROM public.sums") == [(3,)]
    assert loaded.violations() == []
    execute(loaded, "DROP VIEW public.amounts CASCADE")
    swap(loaded.other(schema=SHORTER))
    assert loaded.query("SELECT * FROM public.notes ORDER BY 1") == [("x",), ("y",)]
    assert loaded.other(schema=SHORTER).violations() == []


def test_foreign_keys_indexes_and_constraints_that_were_added_by_hand_survive(loaded: World) -> None:
    execute(
        loaded,
        "CREATE TABLE public.sales (good text CONSTRAINT of_goods REFERENCES core.goods ON DELETE CASCADE)",
        "INSERT INTO public.sales VALUES ('a')",
        "CREATE INDEX goods_by_note ON core.goods (lower(note)) WHERE amount > 0",
        "ALTER TABLE core.goods ADD CONSTRAINT few CHECK (amount < 1000)",
    )
    question = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname IN ('of_goods', 'few') "
        "UNION ALL SELECT 'index', pg_get_indexdef(to_regclass('core.goods_by_note')) ORDER BY 1"
    )
    before = loaded.query(question)
    swap(loaded)
    assert loaded.query(question) == before
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        execute(loaded, "INSERT INTO public.sales VALUES ('q')")


def test_a_foreign_key_that_the_new_table_cannot_have_keeps_the_old_one(loaded: World) -> None:
    execute(loaded, "CREATE TABLE public.sales (good text CONSTRAINT of_goods REFERENCES core.goods)")
    columns = (*GOODS.columns[:2], Column("note", "text", required=True))
    changed = loaded.other(schema=Schema(columns, key=("code", "note")))
    with pytest.raises(RebuildError, match=r"foreign key of_goods of public.sales does not fit"):
        swap(changed)
    assert loaded.query("SELECT count(*) FROM pg_constraint WHERE conname = 'of_goods'") == [(1,)]
    assert loaded.violations() == []


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE MATERIALIZED VIEW public.kept AS SELECT code FROM core.goods", "materialized view public.kept"),
        (
            (
                "CREATE TRIGGER seen BEFORE UPDATE ON core.goods FOR EACH ROW "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            "trigger seen",
        ),
        ("ALTER TABLE core.goods ENABLE ROW LEVEL SECURITY", "row security"),
        ("CREATE STATISTICS core.of_goods ON code, note FROM core.goods", "statistics of_goods"),
    ],
)
def test_what_is_not_taken_over_keeps_the_table_and_is_named(loaded: World, statement: str, name: str) -> None:
    execute(loaded, statement)
    with pytest.raises(RebuildError, match=name):
        swap(loaded)
    assert loaded.query("SELECT to_regclass('etl_rebuild.goods')") == [(None,)]


def test_a_table_that_is_a_view_is_refused(loaded: World) -> None:
    execute(loaded, "ALTER TABLE core.goods RENAME TO stored", "CREATE VIEW core.goods AS SELECT * FROM core.stored")
    with pytest.raises(RebuildError, match=r"core.goods is not an ordinary table"):
        swap(loaded)


def test_a_table_of_another_hand_is_never_dropped(world: World) -> None:
    execute(world, "CREATE SCHEMA core", "CREATE TABLE core.goods (code text)")
    with pytest.raises(RebuildError, match="was not created by etl_assets"):
        swap(world)
    assert world.query("SELECT count(*) FROM core.goods") == [(0,)]


def test_readers_see_either_table_and_no_error(world: World) -> None:
    world.take(*(f"{first}{second},1,x" for first in "abcdefghij" for second in "abcdefghij"))
    execute(world, "CREATE VIEW public.counted AS SELECT count(*) AS rows, min(length(note)) AS least FROM core.goods")
    changed = world.other(schema=AS_TEXT)
    seen, problems = set[tuple[Any, ...]](), list[str]()
    done = threading.Event()

    def read(question: str, *, prepared: bool) -> None:
        try:
            with psycopg.connect(world.url, autocommit=True) as connection:
                while not done.is_set():
                    seen.update(connection.execute(question.encode(), prepare=prepared).fetchall())
        except psycopg.Error as error:
            problems.append(str(error))

    questions = [
        ("SELECT count(*), 1 FROM core.goods", False),
        ("SELECT count(*), 1 FROM core.goods", True),
        ("SELECT * FROM public.counted", False),
        ("SELECT count(*), 1 FROM core.goods g, public.counted c WHERE c.rows > 0", True),
    ]
    readers = [
        threading.Thread(target=read, args=(text,), kwargs={"prepared": prepared}) for text, prepared in questions
    ]
    for reader in readers:
        reader.start()
    try:
        for here in (changed, world, changed):
            swap(here)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert problems == []
    assert seen == {(100, 1)}
    assert changed.violations() == []


def test_a_reader_that_keeps_the_table_makes_the_swap_give_up_and_lose_nothing(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "_LOCK_SECONDS", 1.0)
    with psycopg.connect(loaded.url) as reader:
        reader.execute("SELECT * FROM core.goods")
        with pytest.raises(BusyError, match=r"Other sessions kept core.goods"):
            swap(loaded)
        assert reader.execute("SELECT count(*) FROM core.goods").fetchone() == (2,)
    assert loaded.violations() == []
    loaded.take("a,1,x", "b,5,y", "c,1,z")
    swap(loaded)
    assert loaded.rows() == [("a", 1, "x"), ("b", 5, "y"), ("c", 1, "z")]
    assert loaded.violations() == []


def test_a_transaction_that_would_see_a_part_of_the_new_table_makes_the_swap_give_up(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapping, "_SNAPSHOT_SECONDS", 1.0)
    with psycopg.connect(loaded.url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1 FROM etl.delivery")
        with pytest.raises(BusyError, match="has had a transaction open"):
            swap(loaded)
        assert reader.execute("SELECT count(*) FROM core.goods").fetchone() == (2,)
    swap(loaded)
    assert loaded.violations() == []
