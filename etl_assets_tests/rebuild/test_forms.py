"""A table becomes a history by a rebuild, and a history a table, with what is attached to the name of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import RebuildError
from etl_assets.load.writers import History, Snapshot, Upsert
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.history_table import has_other_form
from etl_assets_tests.ingest.test_history import as_of, day_of, take, versions
from etl_assets_tests.rebuild.test_building import build, swap, traces, verify
from etl_assets_tests.rebuild.test_history_swaps import reading
from etl_assets_tests.rebuild.test_swapping import execute, roles

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

__all__ = ["roles"]

WHOLE = Snapshot(max_deleted=1.0)
TABLES = [Upsert(), WHOLE, Snapshot(max_deleted=1.0, mark=True)]
HISTORIES = [History(dated=day_of), History(snapshot=WHOLE, dated=day_of)]
ATTACHED = (
    "SELECT relname, reloptions, array(SELECT a::text FROM unnest(relacl) a ORDER BY 1), "
    "obj_description(oid, 'pg_class'), (SELECT array_agg(attname || coalesce(attacl::text, '') || "
    "coalesce(col_description(attrelid, attnum), '') ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid "
    "AND attname IN ('code', 'amount', 'note', 'name')) FROM pg_class c WHERE relname IN ('goods', 'dear') "
    "AND relnamespace IN ('core'::regnamespace, 'public'::regnamespace) ORDER BY 1"
)


@pytest.fixture
def here(world: World) -> World:
    """A source with a file for each day, loaded late and in part, and with a record that is rejected."""
    return world.other(files=True)


def load(world: World) -> None:
    take(world, 1, "a,1,x", "b,2,y")
    take(world, 5, "a,3,x", "c,bad,z")
    take(world, 3, "a,1,x", "b,2,y", "c,1,z")


def kinds(world: World) -> list[tuple[str, str]]:
    return world.query(
        "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'core'::regnamespace "
        "AND relkind IN ('r', 'v') UNION SELECT proname, 'f' FROM pg_proc WHERE pronamespace = 'core'::regnamespace "
        "ORDER BY 1"
    )


@pytest.mark.parametrize("before", TABLES)
@pytest.mark.parametrize("after", HISTORIES)
def test_a_table_becomes_a_history(here: World, before: Any, after: Any) -> None:
    here.more = {"write": before}
    load(here)
    changed = here.other(more={"write": after})
    assert has_form_of_its_own(changed)
    swap(changed)
    assert not has_form_of_its_own(changed)
    ended = 5 if after.deletes else None
    assert versions(changed) == [("a", 1, 1, 5), ("a", 3, 5, None), ("b", 2, 1, ended), ("c", 1, 3, None)]
    assert as_of(changed, "2024-01-02Z") == [("a", 1), ("b", 2)]
    assert kinds(changed) == [("goods", "v"), ("goods_as_of", "f"), ("goods_history", "r")]
    assert traces(changed) == []
    assert changed.violations() == []
    take(changed, 7, "a,9,x", "b,2,y", "c,1,z")
    assert ("a", 9, 7, None) in versions(changed)
    assert changed.violations() == []


@pytest.mark.parametrize("before", HISTORIES)
@pytest.mark.parametrize("after", TABLES)
def test_a_history_becomes_a_table(here: World, before: Any, after: Any) -> None:
    here.more = {"write": before}
    load(here)
    changed = here.other(more={"write": after})
    assert has_form_of_its_own(changed)
    swap(changed)
    assert not has_form_of_its_own(changed)
    b = [] if after == WHOLE else [("b", 2, "y")]
    assert changed.rows() == [("a", 3, "x"), *b, ("c", 1, "z")]
    assert kinds(changed) == [("goods", "r"), *([("goods_current", "v")] if after.marks else [])]
    assert traces(changed) == []
    assert changed.violations() == []
    take(changed, 7, "a,9,x", "b,2,y", "c,1,z")
    assert changed.rows() == [("a", 9, "x"), ("b", 2, "y"), ("c", 1, "z")]
    assert changed.violations() == []


def has_form_of_its_own(world: World) -> bool:
    with connected(world.url) as connection:
        return has_other_form(connection, world.source.table, world.source.stored_table)


@pytest.mark.parametrize(("before", "after"), [(Upsert(), HISTORIES[0]), (HISTORIES[0], Upsert())])
def test_the_current_rows_of_another_form_are_compared(here: World, before: Any, after: Any) -> None:
    here.more = {"write": before}
    load(here)
    changed = here.other(more={"write": after})
    found = verify(changed)
    assert (found.equal, found.differing) == (3, 0)
    assert "Only the current rows are compared." in found.notes[0]
    table = "core.goods" if before == Upsert() else "core.goods_history"
    here.query(f"WITH done AS (UPDATE {table} SET amount = 99 WHERE code = 'b' RETURNING 1) SELECT * FROM done")
    (difference,) = verify(changed).differences
    assert (difference.kind, difference.row, difference.columns) == ("contents", "code=b", ("amount",))


@pytest.mark.parametrize(("before", "after"), [(Upsert(), HISTORIES[0]), (HISTORIES[0], Upsert())])
def test_grants_comments_and_views_of_the_source_survive(
    here: World, roles: tuple[str, str], before: Any, after: Any
) -> None:
    reader, _ = roles
    here.more = {"write": before}
    load(here)
    execute(
        here,
        f"GRANT SELECT ON core.goods TO {reader} WITH GRANT OPTION",
        f"GRANT UPDATE (amount) ON core.goods TO {reader}",
        "COMMENT ON COLUMN core.goods.note IS 'Of the clerk.'",
        "CREATE VIEW public.dear WITH (security_barrier) AS SELECT code AS name, amount FROM core.goods",
        f"GRANT SELECT (name) ON public.dear TO {reader}",
        "COMMENT ON VIEW public.dear IS 'All are.'",
    )
    attached = here.query(ATTACHED)
    changed = here.other(more={"write": after})
    swap(changed)
    comment = "The current rows of core.goods_history, which has their former versions as well."
    own = comment if isinstance(after, History) else None
    assert changed.query(ATTACHED) == [attached[0], (*attached[1][:3], own, *attached[1][4:])]
    assert changed.query("SELECT name, amount FROM public.dear ORDER BY 1") == [("a", 3), ("b", 2), ("c", 1)]
    if isinstance(after, History):
        question = f"SELECT has_table_privilege('{reader}', 'core.goods_history', 'SELECT')"
        assert changed.query(question) == [(False,)]
    swap(here)
    assert here.query(ATTACHED) == attached
    assert here.violations() == []


def test_indexes_and_constraints_by_hand_follow_the_rows(here: World) -> None:
    load(here)
    execute(
        here,
        "CREATE INDEX goods_by_note ON core.goods (lower(note)) WHERE amount > 0",
        "ALTER TABLE core.goods ADD CONSTRAINT few CHECK (amount < 1000)",
    )
    question = (
        "SELECT pg_get_constraintdef(oid), conrelid::regclass::text FROM pg_constraint WHERE conname = 'few' "
        "UNION ALL SELECT 'index', (SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = "
        "to_regclass('core.goods_by_note')) ORDER BY 1"
    )
    swap(here.other(more={"write": HISTORIES[0]}))
    assert [table for _, table in here.query(question)] == ["core.goods_history"] * 2
    swap(here)
    assert [table for _, table in here.query(question)] == ["core.goods"] * 2


def test_a_unique_index_that_versions_cannot_have_keeps_the_table_and_is_named(here: World) -> None:
    load(here)
    execute(here, "CREATE UNIQUE INDEX one_note ON core.goods (note)")
    with pytest.raises(RebuildError, match="index one_note does not fit"):
        swap(here.other(more={"write": HISTORIES[0]}))
    assert here.rows() == [("a", 3, "x"), ("b", 2, "y"), ("c", 1, "z")]
    assert here.violations() == []


def test_foreign_keys_keep_a_table_from_becoming_a_view_and_are_named(here: World) -> None:
    load(here)
    execute(here, "CREATE TABLE public.sales (good text CONSTRAINT of_goods REFERENCES core.goods)")
    changed = here.other(more={"write": HISTORIES[0]})
    with pytest.raises(RebuildError, match=r"becomes a view, and foreign keys refer to core.goods: of_goods of public"):
        swap(changed)
    assert here.query("SELECT to_regclass('etl_rebuild.goods_history')") == [(None,)]
    execute(here, "DROP TABLE public.sales")
    swap(changed)
    execute(
        here,
        "CREATE TABLE public.sales (good text, since bigint, CONSTRAINT of_goods FOREIGN KEY (good, since) "
        "REFERENCES core.goods_history)",
    )
    with pytest.raises(RebuildError, match=r"becomes a table without versions, and foreign keys refer to core.goods_h"):
        swap(here)
    assert changed.violations() == []


def test_views_of_former_versions_keep_a_history_and_are_named(here: World) -> None:
    here.more = {"write": HISTORIES[0]}
    load(here)
    execute(
        here,
        "CREATE VIEW public.former AS SELECT * FROM core.goods_as_of('2024-01-02Z')",
        "CREATE VIEW public.ended AS SELECT code FROM core.goods_history WHERE _valid_to IS NOT NULL",
    )
    before = versions(here)
    with pytest.raises(RebuildError, match=r"do not fit the new table: public.ended .*; public.former"):
        swap(here.other(more={"write": Upsert()}))
    assert versions(here) == before
    assert here.query("SELECT code FROM public.former ORDER BY 1") == [("a",), ("b",)]
    assert here.violations() == []


def test_a_name_that_is_taken_keeps_a_table_from_becoming_a_history(here: World) -> None:
    load(here)
    execute(here, "CREATE TABLE core.goods_history (code text)")
    with pytest.raises(RebuildError, match=r"core.goods_history exists, and write=History\(\) needs the name"):
        swap(here.other(more={"write": HISTORIES[0]}))
    assert here.query("SELECT to_regclass('etl_rebuild.goods_history')") == [(None,)]


def test_another_mode_begins_the_build_again_in_its_form(here: World) -> None:
    load(here)
    history = here.other(more={"write": HISTORIES[0]})
    assert build(history).table == "etl_rebuild.goods_history"
    assert build(here).table == "etl_rebuild.goods"
    assert here.query("SELECT to_regclass('etl_rebuild.goods_history')") == [(None,)]
    assert build(history).rows == 4
    swap(here)
    assert kinds(here) == [("goods", "r")]


def test_readers_of_the_name_see_the_rows_in_either_form_and_no_error(here: World) -> None:
    take(here, 1, *(f"{first}{second},1,x" for first in "abcdefghij" for second in "abcdefghij"))
    take(here, 3, *(f"{first}{second},2,x" for first in "abcdefghij" for second in "abcdefghij"))
    execute(here, "CREATE VIEW public.counted AS SELECT count(*) AS rows, sum(amount) AS least FROM core.goods")
    questions = {
        "SELECT sum(amount)::int FROM core.goods": 200,
        "SELECT count(*) FROM core.goods g, public.counted c WHERE c.rows > 0": 100,
        "SELECT rows FROM public.counted": 100,
    }
    history = here.other(more={"write": HISTORIES[0]})
    with reading(here.url, questions) as (seen, problems):
        for changed in (history, here, history, here):
            swap(changed)
    assert problems == []
    assert seen == set(questions.items())
    assert here.violations() == []
